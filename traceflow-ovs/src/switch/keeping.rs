//! The task that follows the connection's fate and renews what stands.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, Interval, interval};
use traceflow_core::datapath::{DatapathError, Report};
use traceflow_openflow::message::Message;

use super::attachment::Standing;
use super::{Switch, delete, lock};
use crate::channel::Link;
use crate::instance::Instance;
use crate::watch;

/// How often what stands is renewed, so that it only goes by itself when nobody is there any more.
const RENEWAL: Duration = Duration::from_secs(watch::EXPIRES as u64 / 3);

/// Follows the connection's fate and renews what stands, as long as anybody holds the switch.
pub(super) async fn keep(switch: Weak<Switch>) {
    let signals = |switch: Arc<Switch>| Signals {
        link: switch.channel.link(),
        disturbed: switch.disturbed.clone(),
        ports_changed: switch.ports_changed.clone(),
        renewal: interval(RENEWAL),
    };
    let Some(mut signals) = switch.upgrade().map(signals) else {
        return;
    };
    while let Some((news, now)) = signals.next().await {
        let Some(switch) = switch.upgrade() else { return };
        if matches!(news, News::Link) {
            switch.flights.doubt();
        }
        match (news, now) {
            (News::Link, Link::Gone(reason)) => {
                tracing::warn!(node = %switch.settings.node, %reason, "the switch is gone for good");
                lock(&switch.reports).take();
                return;
            }
            (News::Link | News::Disturbed, Link::Up(number)) => switch.look_after(number).await,
            (News::Time, _) => switch.renew().await,
            // By itself: whoever follows the connection's fate must not wait for another socket.
            (News::Ports, Link::Up(_)) => drop(tokio::spawn(async move { switch.settle_ports().await })),
            (_, Link::Down(..) | Link::Gone(_)) => {}
        }
    }
}

/// What the task waits for.
struct Signals {
    link: Receiver<Link>,
    disturbed: Arc<Notify>,
    ports_changed: Arc<Notify>,
    renewal: Interval,
}

impl Signals {
    /// The next thing that has happened, and how the connection stands; `None` when the switch is no longer spoken to. Nothing
    /// that happened besides is lost with it.
    async fn next(&mut self) -> Option<(News, Link)> {
        let news = tokio::select! {
            changed = self.link.changed() => changed.ok().map(|()| News::Link)?,
            () = self.disturbed.notified() => News::Disturbed,
            () = self.ports_changed.notified() => News::Ports,
            _ = self.renewal.tick() => News::Time,
        };
        // Not as seen: that the link has changed may be the next news.
        Some((news, self.link.borrow().clone()))
    }
}

/// Why the task looks after its switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Link,
    Disturbed,
    Ports,
    Time,
}

impl Switch {
    async fn look_after(&self, number: u64) {
        let mut standing = self.standing.lock().await;
        if *standing == Standing::Unwanted {
            // If that fails, the connection is lost again; what comes after it will try anew.
            let _ = self.take_away(&mut standing).await;
        }
        self.pay_debts();
        let Standing::Attached(before) = *standing else { return };
        let expected = self
            .layout()
            .map_or(0, |layout| watch::standing(&layout, self.instance()).len());
        let found = match self.channel.flows(self.instance().cookie(), u64::MAX).await {
            Ok(flows) => flows,
            // As above.
            Err(DatapathError::Unavailable(_)) => return,
            Err(_) => Vec::new(),
        };
        let live_flows_stand = match self.live_flows_stand().await {
            Ok(stand) => stand,
            Err(DatapathError::Unavailable(_)) => return,
            Err(_) => false,
        };
        let unseen = if before == number { 0 } else { self.flights.lose_all() };
        if found.len() == expected && live_flows_stand {
            *standing = Standing::Attached(number);
            if before != number {
                // If that fails, the connection is lost again.
                let _ = self.look_at_ports().await;
            }
            let lost = self.lost_of(&found).await.unwrap_or_default().max(unseen as u64);
            if lost > 0 {
                self.report(&Report::Lost { count: lost });
            }
            if before != number
                && let Ok(layout) = self.layout()
            {
                self.mirror_tables(&layout).await;
            }
            return;
        }
        let found = found.len();
        tracing::warn!(node = %self.settings.node, found, expected, "the switch has lost our flows");
        *standing = Standing::Nothing;
        self.live().clear();
        drop(standing);
        self.report(&Report::Restarted);
    }

    fn pay_debts(&self) {
        let owed = self.flights.owed();
        if self.channel.post(owed.clone()).is_ok() {
            self.flights.pay(&owed);
        }
    }

    /// A probe whose flows are still on their way when the switch is asked, or are taken away meanwhile, says nothing.
    async fn live_flows_stand(&self) -> Result<bool, DatapathError> {
        let standing = self.standing_probes();
        let (cookie, mask) = (self.instance().live_cookie(), Instance::live_cookie_mask());
        let flows = self.channel.flows(cookie, mask).await?;
        let wanted: BTreeSet<u64> = self
            .live()
            .keys()
            .map(|trace| self.instance().trace_cookie(*trace))
            .collect();
        let (found, strays): (Vec<_>, Vec<_>) = flows.iter().partition(|flow| wanted.contains(&flow.cookie));
        let strays: BTreeSet<u64> = strays.iter().map(|flow| flow.cookie).collect();
        let deletions = strays
            .into_iter()
            .map(|cookie| Message::FlowMod(delete(cookie, u64::MAX)));
        // What can't be sent now goes by itself.
        let _ = self.channel.post(deletions.collect());
        Ok(found.len() >= self.expected_live_flows(&standing))
    }

    async fn renew(&self) {
        let standing = self.standing.lock().await;
        let (Standing::Attached(number), Ok(layout)) = (*standing, self.layout()) else {
            return;
        };
        // After a loss of the connection it is first to be seen whether anything stands.
        if *self.channel.link().borrow() != Link::Up(number) {
            return;
        }
        let mut flows = watch::standing(&layout, self.instance());
        flows.extend(self.live_flows(Instant::now()));
        let messages = flows.into_iter().map(Message::FlowMod).collect();
        if let Err(error) = self.channel.perform(messages).await {
            tracing::warn!(node = %self.settings.node, %error, "what stands could not be renewed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_link_that_changed_is_news_whatever_happened_with_it() {
        for round in 1..100 {
            let (sender, link) = tokio::sync::watch::channel(Link::Up(0));
            let mut signals = Signals {
                link,
                disturbed: Arc::default(),
                ports_changed: Arc::default(),
                renewal: interval(RENEWAL),
            };
            signals.disturbed.notify_one();
            signals.ports_changed.notify_one();
            sender.send(Link::Up(round)).unwrap();
            let mut news = Vec::new();
            for _ in 0..4 {
                news.push(signals.next().await.unwrap());
            }
            assert!(news.contains(&(News::Link, Link::Up(round))), "{news:?}");
        }
    }
}
