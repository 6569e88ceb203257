//! `synod cluster regions`: which there are, and ending the trust in one.

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use crate::api::Region;
use crate::cli::confirm::ConfirmArgs;
use crate::cli::output::{Cell, Row, Tone};
use crate::cli::pages::{self, ListArgs};
use crate::cli::remote::{Failure, Session};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct RegionsArgs {
    #[command(subcommand)]
    command: Option<RegionsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum RegionsCommand {
    /// End the trust in a region, for good: none of its nodes is let in any more. Do so in each region.
    Remove {
        /// Its name.
        region: String,
        /// Declare that it will never be back, of one that is removed already too: tasks that were offered to it go
        /// elsewhere, although it may have done them.
        #[arg(long)]
        lost: bool,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

pub(super) async fn run(session: &Session, args: &RegionsArgs) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match &args.command {
        None => pages::list(session, &args.list, async |page| client.regions(&page).await).await,
        Some(RegionsCommand::Remove { region, lost, confirm }) => {
            let trust = format!("region {region} is trusted no more, and its name is not given out again");
            let what = match lost {
                true => {
                    format!("{trust}; tasks that were offered to it go elsewhere, and may run a second time")
                }
                false => format!("{trust}; tasks that were offered to it and not answered stay kept"),
            };
            if confirm.dry_run {
                return Ok(output.done("region_removal", region, &format!("would do: {what}")));
            }
            confirm.ask(&format!("Go on: {what}"))?;
            client.remove_region(region, *lost).await?;
            Ok(output.done("region_removal", region, &format!("done: {what}")))
        }
    }
}

impl Row for Region {
    const KIND: &'static str = "region";
    const COLUMNS: &'static [&'static str] = &["name", "state", "alive", "offered", "members", "addresses"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let rival =
            self.rival.as_ref().map(|rival| format!("cluster {} goes by its name too", rival.cluster));
        let state = match (self.here, &self.removed_at, rival, self.alive) {
            (true, ..) => Cell::toned("here", Tone::Good),
            (false, Some(_), ..) => Cell::toned("removed", Tone::Faint),
            (false, None, Some(rival), _) => Cell::toned(&rival, Tone::Bad),
            (false, None, None, 0) => Cell::toned("away", Tone::Bad),
            // It is heard and has not shown its certificate, or that is not agreed yet.
            (false, None, None, _) if self.cluster.is_none() => Cell::toned("heard", Tone::Faint),
            (false, None, None, _) => Cell::toned("reachable", Tone::Good),
        };
        let members: Vec<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
        let text = |text: String| if text.is_empty() { "-".into() } else { text.into() };
        vec![
            self.name.as_str().into(),
            state,
            self.alive.to_string().into(),
            self.offered_tasks.to_string().into(),
            text(members.join(" ")),
            text(self.addresses.join(" ")),
        ]
    }
}
