//! Nobody of a workspace changes what is another's, is shown it, or learns that it is there.
//!
//! Source: issue 5, "nothing of another workspace visible"; SECURITY, "Workspaces". A refusal says the same of what is
//! another's and of what does not exist. What is whose follows from what the world itself knows: tasks say it when they are
//! submitted, pools and agents by their names, tokens by who made them.

use std::collections::BTreeMap;

use synod::node::domain::event::Event;
use synod::node::domain::id::{AgentId, TaskId, TokenId};
use synod::node::domain::name::Name;
use synod::node::domain::pause::Pausable;
use synod::node::domain::refusal::Refusal;
use synod::node::domain::task::MailboxId;

use crate::history::{Answer, Fact, Record, Request, Thing, Verb};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "workspaces are apart",
    says: "nobody of a workspace changes what is another's, is shown it, or is told more of it than of what is not there",
    look,
};

/// The code of a refusal that says what is wrong with a request and nothing of what there is.
const INVALID: &str = "invalid";

fn look(history: &[Record]) -> Verdict {
    let owners = Owners::of(history);
    let mut asked = BTreeMap::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Asked { question, request: Request::Reach { workspace, thing, verb }, .. } => {
                asked.insert(*question, (workspace, thing, *verb));
            }
            Fact::Answered { question, answer } => {
                let Some((workspace, thing, verb)) = asked.remove(question) else { continue };
                if owners.is_of(thing, workspace) {
                    continue;
                }
                checked += 1;
                if let Some(said) = wrong(workspace, thing, verb, answer) {
                    let what = format!("{workspace} wants to {} {thing}: {said}", verb.as_str());
                    return broken(place, task_of(thing), what);
                }
            }
            Fact::Shown { workspace, things } => {
                checked += things.len();
                if let Some(thing) = things.iter().find(|thing| owners.is_foreign(thing, workspace)) {
                    return broken(place, task_of(thing), format!("{workspace} is shown {thing}"));
                }
            }
            _ => {}
        }
    }
    Ok(checked)
}

const fn task_of(thing: &Thing) -> Option<TaskId> {
    match thing {
        Thing::Task(task) | Thing::Letter(task) => Some(*task),
        _ => None,
    }
}

/// Says what is wrong with an answer to somebody who reaches for what is not theirs.
fn wrong(workspace: &Name, thing: &Thing, verb: Verb, answer: &Answer) -> Option<String> {
    let (code, text) = match answer {
        // What became of it is unknown.
        Answer::Failed(_) => return None,
        Answer::Refused { code, text } => (*code, text),
        other => return Some(format!("it was not refused, but answered: {other}")),
    };
    let due = match (thing, verb) {
        (Thing::Task(task) | Thing::Letter(task), Verb::Follow) => Refusal::PrerequisiteUnknown(*task),
        (Thing::Task(task) | Thing::Letter(task), _) => Refusal::TaskUnknown(*task),
        (Thing::Workspace(_), Verb::Pause | Verb::Resume) => Refusal::WorkspaceBound(workspace.clone()),
        // It says how names and workspaces must be.
        (Thing::Pool(_), Verb::Put) | (Thing::Workspace(_) | Thing::Pause(_), _) => {
            return (code != INVALID).then(|| format!("it was refused {code}: {text}"));
        }
        (Thing::Pool(pool), _) => Refusal::PoolUnknown(pool.clone()),
        (Thing::Agent(agent), _) => Refusal::AgentUnknown(*agent),
        (Thing::Token(token), _) => Refusal::TokenUnknown(*token),
    };
    let as_due = code == due.code() && *text == due.to_string();
    (!as_due).then(|| format!("it was refused {code}: {text}, and not as what is not there"))
}

/// What is whose, as far as anybody told.
#[derive(Debug, Default)]
struct Owners<'a> {
    tasks: BTreeMap<TaskId, &'a str>,
    /// The names of agents, or of their pools.
    agents: BTreeMap<AgentId, &'a Name>,
    /// By whom they were made, who is called as their workspace.
    tokens: BTreeMap<TokenId, &'a str>,
}

impl<'a> Owners<'a> {
    fn of(history: &'a [Record]) -> Self {
        let mut owners = Self::default();
        for record in history {
            match &record.fact {
                Fact::Happened { event: Event::TaskSubmitted { task, workspace, .. }, .. } => {
                    owners.tasks.insert(*task, workspace.as_str());
                }
                Fact::Happened { event: Event::AgentRegistered { agent, name, pool }, .. } => {
                    owners.agents.insert(*agent, pool.as_ref().unwrap_or(name));
                }
                Fact::Asked { client, request: Request::PutToken { token }, .. } => {
                    owners.tokens.insert(*token, client);
                }
                _ => {}
            }
        }
        owners
    }

    /// Tells whether something is of a workspace; `None` when nobody told whose it is.
    fn knows(&self, thing: &Thing, workspace: &Name) -> Option<bool> {
        let is_own = |owner: &&str| **owner == *workspace.as_str();
        let is_below = |name: &Name| {
            let rest = name.as_str().strip_prefix(workspace.as_str());
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let of_agent = |agent| self.agents.get(agent).map(|name| is_below(name));
        match thing {
            Thing::Task(task) | Thing::Letter(task) => self.tasks.get(task).map(is_own),
            Thing::Pool(pool) => Some(is_below(pool)),
            Thing::Agent(agent) => of_agent(agent),
            Thing::Token(token) => self.tokens.get(token).map(is_own),
            Thing::Workspace(of) => Some(of == workspace),
            Thing::Pause(Pausable::Workspace(of)) => Some(of == workspace),
            Thing::Pause(Pausable::Pool(pool) | Pausable::Mailbox(MailboxId::Pool(pool))) => {
                Some(is_below(pool))
            }
            Thing::Pause(Pausable::Mailbox(MailboxId::Agent(agent))) => of_agent(agent),
            Thing::Pause(Pausable::Mailbox(MailboxId::Open)) => Some(false),
        }
    }

    fn is_of(&self, thing: &Thing, workspace: &Name) -> bool {
        // A task of which nobody told may be anybody's; whoever reaches for it knows that it is not theirs.
        self.knows(thing, workspace) == Some(true)
    }

    fn is_foreign(&self, thing: &Thing, workspace: &Name) -> bool {
        self.knows(thing, workspace) == Some(false)
    }
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap_or_default()
    }

    fn reaches(thing: Thing, verb: Verb, answer: Answer) -> [Fact; 2] {
        let request = Request::Reach { workspace: name("red"), thing, verb };
        [Fact::Asked { question: 1, client: "red".into(), request }, answered(1, answer)]
    }

    fn refused(refusal: &Refusal) -> Answer {
        Answer::Refused { code: refusal.code(), text: refusal.to_string() }
    }

    #[test]
    fn whoever_is_let_at_what_is_anothers_is_found() {
        let pool = || Thing::Pool(name("blue/works"));
        let as_not_there = refused(&Refusal::PoolUnknown(name("blue/works")));
        assert_eq!(look(&history(reaches(pool(), Verb::Scale, as_not_there))), Ok(1));
        assert!(look(&history(reaches(pool(), Verb::Scale, Answer::Done))).is_err());
        let unknown = Answer::Failed("nobody leads".to_owned());
        assert!(look(&history(reaches(pool(), Verb::Scale, unknown))).is_ok());
        let own = Thing::Pool(name("red/works"));
        assert_eq!(look(&history(reaches(own, Verb::Scale, Answer::Done))), Ok(0));
    }

    #[test]
    fn a_refusal_that_tells_more_than_of_what_is_not_there_is_found() {
        use synod::node::domain::task::Phase;
        let there = [submitted(1, 1)];
        let reach = |answer| {
            history(there.iter().cloned().chain(reaches(Thing::Task(task(1)), Verb::Cancel, answer)))
        };
        assert_eq!(look(&reach(refused(&Refusal::TaskUnknown(task(1))))), Ok(1));
        let ended = Refusal::AlreadyEnded { task: task(1), phase: Phase::Failed };
        assert!(look(&reach(refused(&ended))).is_err());
        let follow = reaches(Thing::Task(task(1)), Verb::Follow, Answer::Done);
        assert!(look(&history(follow)).is_err());
        let put =
            reaches(Thing::Pool(name("blue")), Verb::Put, refused(&Refusal::PoolRetiring(name("blue"))));
        assert!(look(&history(put)).is_err());
    }

    #[test]
    fn a_list_with_something_of_another_workspace_is_found() {
        let shown = |things| Fact::Shown { workspace: name("red"), things };
        let made = || {
            let request = Request::PutToken { token: TokenId::from_raw(1) };
            Fact::Asked { question: 1, client: "blue".into(), request }
        };
        let own = vec![Thing::Pool(name("red/works")), Thing::Pause(Pausable::Workspace(name("red")))];
        assert_eq!(look(&history([shown(own)])), Ok(2));
        for foreign in [
            Thing::Pool(name("reddish")),
            Thing::Token(TokenId::from_raw(1)),
            Thing::Task(task(1)),
            Thing::Pause(Pausable::Mailbox(MailboxId::Open)),
        ] {
            let facts = [submitted(1, 1), made(), shown(vec![foreign.clone()])];
            assert!(look(&history(facts)).is_err(), "{foreign}");
        }
    }
}
