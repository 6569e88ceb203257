//! A service that embeds synod, simulated by its authors: their own agent, their own clients, a schedule of faults, and a
//! judge of their own. Two versions of the service; the judge finds out the one with the mistake.
//!
//! docs/SIMULATION.md, "Simulate your own service", goes through it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use synod::native::{AgentError, Context, NativeAgent};
use synod::node::domain::task::Phase;
use synod::node::{NewTask, Pool};
use synod_simulations::faults::{Fault, Kind};
use synod_simulations::history::{Fact, Record};
use synod_simulations::judges::{Judge, Verdict, Violation};
use synod_simulations::process::alone;
use synod_simulations::scenario::Notes;
use synod_simulations::{Outcome, Scenario};

/// What the service is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Invoice {
    number: u64,
    cents: u64,
}

/// The bank, as the service sees it: it does what an order says, once for each name of an order.
trait Bank: Send + Sync {
    fn transfer(&self, order: &str, invoice: &Invoice);
}

/// The service's agent: pays an invoice, and takes a moment before and after.
struct Teller {
    bank: Arc<dyn Bank>,
    /// How the order is named. This is where the two versions differ.
    order: fn(&Context) -> String,
}

impl NativeAgent for Teller {
    type Input = Invoice;
    type Output = String;

    async fn run(&self, context: Context, invoice: Invoice) -> Result<String, AgentError> {
        tokio::time::sleep(Duration::from_millis(40)).await;
        self.bank.transfer(&(self.order)(&context), &invoice);
        tokio::time::sleep(Duration::from_millis(40)).await;
        Ok(format!("invoice {} is paid", invoice.number))
    }
}

/// The bank in the simulated world. It is nobody's node: it outlives all of them.
struct SimulatedBank {
    notes: Notes,
    known: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Bank for SimulatedBank {
    fn transfer(&self, order: &str, invoice: &Invoice) {
        if self.known.lock().insert(order.to_owned(), invoice.number).is_none() {
            self.notes.note("bank", &json!({ "paid": invoice.number, "cents": invoice.cents }));
        }
    }
}

/// The judge of this service.
const PAID_ONCE: Judge = Judge { name: "paid once", says: "no invoice is paid twice", look: paid_once };

fn paid_once(history: &[Record]) -> Verdict {
    let mut paid = BTreeMap::new();
    for (place, record) in history.iter().enumerate() {
        let Fact::Noted { by, what } = &record.fact else { continue };
        let (true, Some(number)) = (&**by == "bank", what["paid"].as_u64()) else { continue };
        if let Some(first) = paid.insert(number, record.at) {
            let what = format!("invoice {number} was paid after {first:?} and again");
            return Err(Violation { record: place, task: None, what });
        }
    }
    Ok(paid.len())
}

/// Runs the service among faults: three times, the machine that has just paid dies before it can say so.
fn simulate(order: fn(&Context) -> String) -> Outcome {
    let known = Arc::<Mutex<BTreeMap<String, u64>>>::default();
    let paid = |record: &Record| matches!(&record.fact, Fact::Noted { by, .. } if &**by == "bank");
    let mut service = Scenario::of(7)
        .without_ordinary_clients()
        .lasts(Duration::from_secs(12))
        .equip(move |builder, notes| {
            let bank = SimulatedBank { notes, known: Arc::clone(&known) };
            builder.native("teller", Teller { bank: Arc::new(bank), order })
        })
        .judge(PAID_ONCE)
        .whenever(paid, Duration::ZERO, 3, |scene| Fault::Crash {
            node: scene.there(),
            down: Duration::from_secs(2),
            keep_percent: 100,
            silent: false,
        });
    for node in 1..=3 {
        service = service.client("shop", node, |seat| async move {
            seat.node().put_pool(Pool::native("tellers", "teller")?.size(3).concurrency(2)).await?;
            let mut number = 1_000 * seat.number() + 100 * u64::from(seat.life());
            while seat.is_busy() {
                number += 1;
                let invoice = Invoice { number, cents: 100 * number };
                let task = NewTask::to_pool("tellers", "invoice", &invoice)?;
                seat.submit_once(&format!("invoice {number}"), task).await?;
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Ok(())
        });
    }
    service.run()
}

#[test]
fn a_service_that_names_its_orders_by_the_task_pays_once_whoever_dies() {
    alone(|| {
        let outcome = simulate(|context| context.task.to_string());
        assert!(outcome.report.holds(), "{}\n{}", outcome.report, outcome.tail(40));
        assert_eq!(outcome.injected(Kind::Crash).len(), 3);
        let completed = outcome.ended().values().filter(|phase| **phase == Phase::Completed).count();
        let paid = outcome.noted("bank").len();
        assert!(completed > 30 && completed == paid, "{completed} completed, {paid} paid");
        let again = outcome.acknowledged().iter().filter(|one| outcome.attempts(one.task).len() > 1).count();
        assert!(again > 0, "nobody had to do anything again");
    });
}

#[test]
fn a_service_that_names_its_orders_by_the_attempt_is_found_to_pay_twice() {
    alone(|| {
        let outcome = simulate(|context| format!("{} attempt {}", context.task, context.attempt));
        let broken: Vec<&str> = outcome.report.broken.iter().map(|broken| broken.judge.as_str()).collect();
        assert_eq!(broken, ["paid once"], "{}", outcome.report);
    });
}
