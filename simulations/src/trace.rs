//! A history as text: one line for each record, the same bytes for the same seed.
//!
//! Nothing in it comes from the machine: no addresses, no actor numbers, no wall clock. That two processes
//! with one seed write the same text is the proof that nothing random escaped the seed.

use std::fmt::{self, Write as _};

use synod::node::domain::task::Usage;

use crate::history::{Answer, Fact, Record, Request, Standing};

/// Hashes bytes with FNV-1a: for comparing traces at a glance and for naming streams, not against forgers.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Hashes much, eight bytes at a time: for states, which are hashed often and compared with each other alone.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(bytes.len() as u64, mix)
}

/// Writes a whole history.
pub fn text(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        // Writing into a string does not fail.
        let _ = writeln!(text, "{record}");
    }
    text
}

fn used(usage: &Usage) -> String {
    format!("{} in, {} out, {} microusd", usage.tokens_in, usage.tokens_out, usage.cost_microusd)
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{:03} ", self.at.as_secs(), self.at.subsec_millis())?;
        match self.node {
            Some(node) => write!(f, "n{node} ")?,
            None => f.write_str("-- ")?,
        }
        match &self.fact {
            Fact::Began { seed, duration, faults, nodes } => {
                write!(f, "world   seed {seed}, {} s, faults {faults}, nodes {nodes}", duration.as_secs_f64())
            }
            Fact::Planned(plan) => write!(f, "world   clients ask for {plan}"),
            Fact::Injected(fault) => write!(f, "fault   {fault}"),
            Fact::Healed(fault) => write!(f, "healed  {fault}"),
            Fact::Lost { unsynced, kept } => write!(f, "lost    {kept} of {unsynced} unsynced writes kept"),
            Fact::Datagrams { lost, doubled, late } => {
                write!(f, "world   {lost} datagrams lost, {doubled} doubled, {late} overtaken")
            }
            Fact::FaultsEnded => f.write_str("world   no more faults, no new work"),
            Fact::Starting { life } => write!(f, "node    life {life} starts"),
            Fact::Started { life } => write!(f, "node    life {life} takes work"),
            Fact::Admitted { number } => write!(f, "node    is admitted as number {number}"),
            Fact::Leads { term: Some(term) } => write!(f, "node    leads term {term}"),
            Fact::Leads { term: None } => f.write_str("node    leads no more"),
            Fact::Applied { index, term, hash } => write!(f, "entry   {index} of term {term}, {hash:016x}"),
            Fact::Stored { index, term, hash } => write!(f, "stored  {index} of term {term}, {hash:016x}"),
            Fact::Skipped => f.write_str("node    passed over entries"),
            Fact::State { index, hash } => write!(f, "state   after {index}, {hash:016x}"),
            Fact::Rests { index, hash } => write!(f, "node    rests after {index}, {hash:016x}"),
            Fact::NodeFailed { reason } => write!(f, "node    failed: {reason}"),
            Fact::Repaired { reason } => write!(f, "node    repaired its disk: {reason}"),
            Fact::Stopped => f.write_str("node    stopped"),
            Fact::Gone => f.write_str("node    has gone for good"),
            Fact::Noted { by, what } => write!(f, "noted   {by}: {what}"),
            Fact::Missed(fault) => write!(f, "missed  {fault}"),
            Fact::Panicked { message } => write!(f, "panic   {message}"),
            Fact::Stands(standing) => write!(f, "stands  {standing}"),
            Fact::Unread { task, why } => write!(f, "unread  {task}: {why}"),
            Fact::NoResult { task, why } => write!(f, "unread  the result of {task}: {why}"),
            Fact::Paused(what) => {
                f.write_str("paused ")?;
                what.iter().try_for_each(|what| write!(f, " {}", what.path()))
            }
            Fact::Token { token, opens } => write!(f, "token   {token} opens {opens}"),
            Fact::Happened { index, event, .. } => match serde_json::to_string(event) {
                Ok(event) => write!(f, "event   {index} {event}"),
                Err(error) => write!(f, "event   {index} {error}"),
            },
            Fact::Acts { task, attempt, act } => write!(f, "agent   {task} attempt {attempt} will {act:?}"),
            Fact::Uses { task, attempt, usage } => {
                write!(f, "agent   {task} attempt {attempt} says it used {}", used(usage))
            }
            Fact::Used { task, usage } => write!(f, "used    {task} {}", used(usage)),
            Fact::Spends { task, attempt, tokens } => {
                write!(f, "agent   {task} attempt {attempt} says it used {tokens} more")
            }
            Fact::Governs(governance) => write!(f, "governs{governance}"),
            Fact::Told { webhook, seq, topic, workspace, hash, taken } => {
                let whose = workspace.as_ref().map_or("-", |workspace| workspace.as_str());
                write!(f, "told    {webhook} {seq} {topic} of {whose}, {hash:016x}, taken {taken}")
            }
            Fact::Trail(records) => {
                f.write_str("trail  ")?;
                records.iter().try_for_each(|record| write!(f, " [{record}]"))
            }
            Fact::Checked { to, broken: None } => write!(f, "trail   holds up to record {to}"),
            Fact::Checked { to, broken: Some(broken) } => write!(f, "trail   up to record {to}: {broken}"),
            Fact::Shown { workspace, things } => {
                write!(f, "shown   {workspace}:")?;
                things.iter().try_for_each(|thing| write!(f, " [{thing}]"))
            }
            Fact::Letters(letters) => {
                f.write_str("letters")?;
                letters.iter().try_for_each(|letter| write!(f, " {letter}"))
            }
            Fact::Asked { question, client, request } => write!(f, "ask     {question} {client}: {request}"),
            Fact::Answered { question, answer } => write!(f, "answer  {question}: {answer}"),
            Fact::Closed => f.write_str("world   closed"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(phase) = self.phase else { return write!(f, "{} is not known", self.task) };
        write!(f, "{} {phase}, attempt {}", self.task, self.attempt)?;
        if let Some(holder) = self.holder {
            write!(f, ", held by {holder}")?;
        }
        if let Some(of) = self.result_of {
            write!(f, ", result of attempt {of}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submit { key: Some(key), content, pool } => {
                write!(f, "submit to {pool}, content {content:016x}, key {key}")
            }
            Self::Submit { key: None, content, pool } => {
                write!(f, "submit to {pool}, content {content:016x}")
            }
            Self::Wait { task } => write!(f, "wait for {task}"),
            Self::Look { task } => write!(f, "look at {task}"),
            Self::Cancel { task } => write!(f, "cancel {task}"),
            Self::Register { agent, slots } => write!(f, "register {agent} with {slots} slots"),
            Self::Claim { agent } => write!(f, "claim for {agent}"),
            Self::Heartbeat { task, attempt } => write!(f, "heartbeat {task} attempt {attempt}"),
            Self::Complete { task, attempt } => write!(f, "complete {task} attempt {attempt}"),
            Self::Fail { task, attempt } => write!(f, "fail {task} attempt {attempt}"),
            Self::Pause { what } => write!(f, "pause {}", what.path()),
            Self::Resume { what } => write!(f, "resume {}", what.path()),
            Self::PutToken { token } => write!(f, "put {token}"),
            Self::RotateToken { token } => write!(f, "rotate {token}"),
            Self::RevokeToken { token } => write!(f, "revoke {token}"),
            Self::Redrive { letter, task } => write!(f, "redrive {letter} as {task}"),
            Self::Purge { letter } => write!(f, "purge {letter}"),
            Self::Scale { pool, target } => write!(f, "scale {pool} to {target}"),
            Self::Retire { pool } => write!(f, "retire {pool}"),
            Self::PutPool { pool } => write!(f, "put {pool}"),
            Self::SetLane { task, lane } => write!(f, "move {task} to {lane}"),
            Self::Limited { task, attempt, pause } => {
                write!(f, "refused {task} attempt {attempt} for {} ms", pause.as_millis())
            }
            Self::Release { task, attempt } => write!(f, "release {task} attempt {attempt}"),
            Self::SetRole { node, role } => write!(f, "let {node} be a {role}"),
            Self::Transfer => f.write_str("let another node lead"),
            Self::Drain { node, drains: true } => write!(f, "drain {node}"),
            Self::Govern(change) => write!(f, "{change}"),
            Self::Reach { workspace, thing, verb } => {
                write!(f, "{} {thing} as somebody of {workspace}", verb.as_str())
            }
            Self::Drain { node, drains: false } => write!(f, "let {node} take agents again"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Submitted(task) => write!(f, "submitted {task}"),
            Self::Ended(phase) => write!(f, "ended {phase}"),
            Self::Looked(Some((phase, attempt))) => write!(f, "it is {phase}, attempt {attempt}"),
            Self::Looked(None) => f.write_str("it is not known"),
            Self::Claimed(leases) if leases.is_empty() => f.write_str("nothing to claim"),
            Self::Claimed(leases) => {
                f.write_str("claimed")?;
                leases.iter().try_for_each(|(task, attempt)| write!(f, " {task} attempt {attempt}"))
            }
            Self::Refused { code, text } => write!(f, "refused {code}: {text}"),
            Self::Failed(why) => write!(f, "unknown: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_anywhere_has_another_digest() {
        let bytes: Vec<u8> = (0..=40).collect();
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..=bytes.len() {
            seen.insert(digest(&bytes[..length]));
        }
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 0x80;
            seen.insert(digest(&other));
        }
        assert_eq!(seen.len(), 2 * bytes.len() + 1);
    }
}
