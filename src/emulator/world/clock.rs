//! The world's time: what happens by itself, milestones, and who else acts.
//!
//! Owns the dispatch of events. Must not hold a rule of App Service.

use super::agenda::Event;
use super::create::kind_of;
use super::{ActorResult, AlarmId, Effect, Refusal, SlotRef, Timestamp, Upload, World};
use crate::emulator::scenario::{Action, Milestone};

impl World {
    /// When the next event is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.next_due()
    }

    /// Lets everything happen that is due until then. Time never goes back.
    pub fn advance_to(&mut self, time: Timestamp) {
        while self.happen_next(time) {}
        self.now = self.now.max(time);
    }

    /// Lets one event happen, if one is due until then; time moves to it.
    pub fn happen_next(&mut self, until: Timestamp) -> bool {
        let Some((at, event)) = self.agenda.take_due(until) else { return false };
        self.now = self.now.max(at);
        self.happen(event);
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Swap(id, step) => self.swap_step_over(&id, step),
            Event::InstanceReady(key) => self.instance_ready(&key),
            Event::InstanceLimit(key) => self.instance_limit_reached(&key),
            Event::InstanceRevived(key) => self.revive_instance(&key),
            Event::PingLimit(id) => self.ping_answered(id, None),
            Event::PingAgain(id) => self.ping_again(id),
            Event::Deployment(key) => self.deployment_goes_on(&key),
            Event::ScmUp(slot) => self.scm_is_up(&slot),
            Event::Actor(actor) => self.act(actor),
            Event::Alarm(id) => self.effects.push(Effect::Alarm(id)),
        }
    }

    /// Asks for [`Effect::Alarm`] at a time.
    pub fn set_alarm(&mut self, at: Timestamp) -> AlarmId {
        let id = AlarmId(self.next_number());
        self.agenda.schedule(at.max(self.now), Event::Alarm(id));
        id
    }

    /// Takes what is to be done outside, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether something goes on that will end by itself: an operation, a deployment, a start.
    pub fn is_busy(&self) -> bool {
        let starting = |side: &super::Side| {
            side.instances.iter().any(|instance| instance.state == super::InstanceState::Starting)
        };
        self.operations.iter().any(super::Operation::is_running)
            || !self.deploying.is_empty()
            || self.contents().any(starting)
    }

    /// Notes a milestone and wakes the actors that waited for it.
    pub(super) fn reach(&mut self, milestone: Milestone) {
        let before = self.milestones.iter().filter(|(reached, _)| *reached == milestone).count();
        self.milestones.push((milestone, self.now));
        for (number, actor) in self.actors.iter().enumerate() {
            if actor.after == milestone && actor.skip == before {
                self.agenda.schedule(self.now + actor.delay, Event::Actor(number));
            }
        }
    }

    fn act(&mut self, number: usize) {
        let Some(action) = self.actors.get(number).map(|actor| actor.action.clone()) else { return };
        let result = self.perform(action);
        self.actor_results.push(ActorResult { time: self.now, actor: number, result });
    }

    /// Does what someone other than the API's consumer does, on the scenario's site.
    ///
    /// # Errors
    ///
    /// What the command refuses.
    pub fn perform(&mut self, action: Action) -> Result<(), Refusal> {
        let site = self.acting_site.clone();
        let at = |slot| SlotRef::new(site.clone(), slot);
        match action {
            Action::Swap { source, target } => self.begin_swap(&at(source), &at(target), true).map(|_| ()),
            Action::Restart { slot } => self.restart(&at(slot)),
            Action::Stop { slot } => self.stop(&at(slot)),
            Action::RestartScm { slot } => {
                let slot = at(slot);
                self.slot(&slot)?;
                self.restart_scm(&slot);
                Ok(())
            }
            Action::Scale { workers } => {
                let plan = self.site_of(&site)?.plan.clone();
                self.scale(&plan, workers)
            }
            Action::Settings { slot, set } => {
                let mut settings = self.slot(&at(slot.clone()))?.app_settings.clone();
                settings.extend(set);
                self.put_app_settings(&at(slot), settings)
            }
            Action::Deploy { slot, package } => {
                let upload = Upload {
                    kind: kind_of(&package),
                    file: package,
                    path: None,
                    clean: true,
                    restart: true,
                    sha256: None,
                    deployer: "OneDeploy".to_owned(),
                    message: "OneDeploy".to_owned(),
                    author: "N/A".to_owned(),
                };
                self.deploy_from_inside(&at(slot), upload, false)
            }
        }
    }
}
