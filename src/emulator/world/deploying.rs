//! A deployment from Kudu's lock to its end (kudu-deploy.md §5, §6).
//!
//! Owns the order: lock, temporary record, final id, unpacking, end, restart; and how
//! an SCM restart kills it. Must not touch a file.

use std::time::Duration;

use super::SwapStep;
use super::agenda::Event;
use super::settings::lookup;
use super::{
    Deployment, DeploymentKey, DeploymentStatus, Effect, LogKind, LogLine, RecordedDeployment, Refusal, Side,
    SideId, SlotRef, SlotState, Timestamp, Upload, UploadOrder, UploadTicket, World,
};
use crate::emulator::scenario::Milestone;

/// A deployment under way.
#[derive(Debug, Clone)]
pub(super) struct Deploying {
    upload: Upload,
    /// Whether the bytes are the skin's temporary file, which is removed in the end.
    temporary: bool,
    /// Not over before this time.
    not_before: Timestamp,
    stage: Stage,
    /// Whether the app does not run yet and must be started in any case: the first content of a slot.
    first: bool,
}

#[derive(Debug, Clone)]
enum Stage {
    /// The record has its temporary id.
    Received,
    /// The runtime works.
    Unpacking,
    /// The runtime is done.
    Unpacked(Result<(), String>),
}

// ---------------------------------------------------------------- commands
impl World {
    /// Whether Kudu answers at all: the skin calls it first for every SCM request.
    ///
    /// # Errors
    ///
    /// 503 while it restarts, 403 when the slot is stopped, 404.
    pub fn check_scm(&self, slot_ref: &SlotRef) -> Result<(), Refusal> {
        let slot = self.slot(slot_ref)?;
        if slot.state == SlotState::Stopped {
            return Err(Refusal::SiteStopped);
        }
        if slot.scm.restarting_until.is_some() {
            return Err(Refusal::ScmRestarting);
        }
        Ok(())
    }

    /// Takes Kudu's lock, before the body is read (kudu-deploy.md §5).
    ///
    /// # Errors
    ///
    /// 409 when it is held or the package comes from a URL, 503, 403, 404.
    pub fn lock_for_upload(&mut self, slot_ref: &SlotRef) -> Result<UploadTicket, Refusal> {
        self.check_scm(slot_ref)?;
        let slot = self.slot(slot_ref)?;
        // "1" mounts the pushed package; anything that is a URL forbids pushing (kudu-deploy.md §10).
        let from_url = ["WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_RUN_FROM_ZIP", "WEBSITE_USE_ZIP"]
            .iter()
            .filter_map(|name| lookup(&slot.app_settings, name))
            .any(|value| value.to_ascii_lowercase().starts_with("http"));
        if from_url {
            return Err(Refusal::RunFromPackageUrl);
        }
        if slot.side.deployment_lock.is_some() {
            return Err(Refusal::DeploymentInProgress);
        }
        let ticket = UploadTicket { side: slot.side.id, number: self.next_number() };
        if let Some(side) = self.side_mut(ticket.side) {
            side.deployment_lock = Some(ticket.number);
        }
        Ok(ticket)
    }

    /// Begins the deployment of an upload that has arrived: a record with a temporary id appears.
    ///
    /// # Errors
    ///
    /// 409 when the lock was lost meanwhile (an SCM restart).
    pub fn begin_deployment(
        &mut self,
        ticket: UploadTicket,
        upload: Upload,
    ) -> Result<DeploymentKey, Refusal> {
        let held = self.side(ticket.side).is_some_and(|side| side.deployment_lock == Some(ticket.number));
        if !held {
            return Err(Refusal::DeploymentInProgress);
        }
        let key = self.receive(ticket.side, upload, true, false);
        self.reach(Milestone::DeployAccepted);
        Ok(key)
    }

    /// Gives the lock back without a deployment.
    pub fn abandon_upload(&mut self, ticket: UploadTicket) {
        if let Some(side) =
            self.side_mut(ticket.side).filter(|side| side.deployment_lock == Some(ticket.number))
        {
            side.deployment_lock = None;
        }
    }

    /// Deploys a file of the scenario's, which is left where it is.
    pub(super) fn deploy_from_inside(
        &mut self,
        slot: &SlotRef,
        upload: Upload,
        first: bool,
    ) -> Result<(), Refusal> {
        if first {
            let side = self.slot(slot)?.side.id;
            let number = self.next_number();
            if let Some(side) = self.side_mut(side) {
                side.deployment_lock = Some(number);
            }
            self.receive(side, upload, false, true);
        } else {
            let ticket = self.lock_for_upload(slot)?;
            self.receive(ticket.side, upload, false, false);
            self.reach(Milestone::DeployAccepted);
        }
        Ok(())
    }

    fn receive(&mut self, side: SideId, upload: Upload, temporary: bool, first: bool) -> DeploymentKey {
        let linux = self
            .slot_of_side(side)
            .and_then(|slot| self.sites.get(&slot.site))
            .is_some_and(super::Site::is_linux);
        let final_id = if linux { self.ids.guid() } else { self.ids.plain_guid() };
        let key = DeploymentKey { side, final_id: final_id.clone() };
        let record = Deployment {
            id: format!("temp-{}", self.ids.hex(8)),
            final_id,
            is_temp: true,
            status: DeploymentStatus::Pending,
            status_text: "Receiving changes.".to_owned(),
            progress: String::new(),
            complete: false,
            killed: false,
            active: false,
            author: upload.author.clone(),
            author_email: "N/A".to_owned(),
            deployer: upload.deployer.clone(),
            message: upload.message.clone(),
            recorded: false,
            received: self.now,
            started: self.now,
            ended: None,
            log: Vec::new(),
        };
        // The first content is there from the beginning, as far as the scenario's durations go.
        let lasts = if first { Duration::ZERO } else { self.durations.deploy };
        let not_before = self.now + lasts;
        if let Some(side) = self.side_mut(side) {
            side.deployments.push(record);
        }
        self.agenda.schedule(self.now, Event::Deployment(key.clone()));
        self.deploying
            .insert(key.clone(), Deploying { upload, temporary, not_before, stage: Stage::Received, first });
        key
    }

    /// Writes a record for a pipeline (kudu-deploy.md §7).
    ///
    /// # Errors
    ///
    /// 409 under the lock or when the id exists, 400 for an active failure, 503, 403, 404.
    pub fn record_deployment(
        &mut self,
        slot_ref: &SlotRef,
        record: RecordedDeployment,
    ) -> Result<(), Refusal> {
        self.check_scm(slot_ref)?;
        let side = &self.slot(slot_ref)?.side;
        if side.deployment_lock.is_some() {
            return Err(Refusal::DeploymentInProgress);
        }
        if side.deployment(&record.id).is_some() {
            return Err(Refusal::DeploymentExists { id: record.id });
        }
        if record.active && !record.success {
            let message = "Only successful status can be active!".to_owned();
            return Err(Refusal::BadRequest { message });
        }
        let now = self.now;
        let line = record.details.map(|details| self.line(details, LogKind::Message));
        let Some(slot) = self.slot_mut(slot_ref) else { return Ok(()) };
        if record.active {
            slot.side.deployments.iter_mut().for_each(|other| other.active = false);
        }
        slot.side.deployments.push(Deployment {
            id: record.id.clone(),
            final_id: record.id,
            is_temp: false,
            status: if record.success { DeploymentStatus::Success } else { DeploymentStatus::Failed },
            status_text: String::new(),
            progress: String::new(),
            complete: true,
            killed: false,
            active: record.active,
            author: record.author,
            author_email: "N/A".to_owned(),
            deployer: record.deployer,
            message: record.message,
            recorded: true,
            received: now,
            started: now,
            ended: Some(now),
            log: line.into_iter().collect(),
        });
        Ok(())
    }
}

// ---------------------------------------------------------------- its way
impl World {
    /// The deployment a key speaks of, wherever its side is now.
    pub fn deployment(&self, key: &DeploymentKey) -> Option<&Deployment> {
        self.side(key.side)?.deployments.iter().find(|record| record.final_id == key.final_id)
    }

    fn deployment_mut(&mut self, key: &DeploymentKey) -> Option<&mut Deployment> {
        self.side_mut(key.side)?.deployments.iter_mut().find(|record| record.final_id == key.final_id)
    }

    fn line(&mut self, message: String, kind: LogKind) -> LogLine {
        LogLine { time: self.now, id: self.ids.guid(), message, kind, details: Vec::new() }
    }

    fn write_log(&mut self, key: &DeploymentKey, message: &str, kind: LogKind) {
        let line = self.line(message.to_owned(), kind);
        if let Some(record) = self.deployment_mut(key) {
            record.log.push(line);
        }
    }

    /// A deployment's event: it goes on.
    pub(super) fn deployment_goes_on(&mut self, key: &DeploymentKey) {
        match self.deploying.get(key).map(|deploying| deploying.stage.clone()) {
            Some(Stage::Received) => self.begin_unpacking(key),
            Some(Stage::Unpacked(result)) => self.end_deployment(key, result),
            Some(Stage::Unpacking) | None => {}
        }
    }

    /// The body is fetched: the record gets its final id (kudu-deploy.md §5).
    fn begin_unpacking(&mut self, key: &DeploymentKey) {
        let linux = self
            .slot_of_side(key.side)
            .and_then(|slot| self.sites.get(&slot.site))
            .is_some_and(super::Site::is_linux);
        let Some(home) = self.side(key.side).map(|side| side.files.clone()) else { return };
        if let Some(record) = self.deployment_mut(key) {
            record.id.clone_from(&record.final_id);
            record.is_temp = false;
            // On Linux the number stays 0 (seen-in-recordings.md 24).
            record.status = if linux { DeploymentStatus::Pending } else { DeploymentStatus::Deploying };
            record.status_text = format!("Building and Deploying '{}'.", record.final_id);
        }
        self.write_log(key, "Updating submodules.", LogKind::Message);
        self.write_log(
            key,
            &format!("Preparing deployment for commit id '{}'.", short(&key.final_id)),
            LogKind::Message,
        );
        let Some(deploying) = self.deploying.get_mut(key) else { return };
        deploying.stage = Stage::Unpacking;
        let upload = Box::new(UploadOrder {
            file: deploying.upload.file.clone(),
            temporary: deploying.temporary,
            home,
            kind: deploying.upload.kind,
            path: deploying.upload.path.clone(),
            clean: deploying.upload.clean,
            sha256: deploying.upload.sha256.clone(),
            linux,
        });
        self.effects.push(Effect::Unpack { key: key.clone(), upload });
    }

    /// An upload is in its place, or could not be put there.
    pub fn unpacked(&mut self, key: &DeploymentKey, result: Result<(), String>) {
        let Some(deploying) = self.deploying.get_mut(key) else { return };
        deploying.stage = Stage::Unpacked(result);
        let at = deploying.not_before.max(self.now);
        self.agenda.schedule(at, Event::Deployment(key.clone()));
    }

    fn end_deployment(&mut self, key: &DeploymentKey, result: Result<(), String>) {
        let Some(deploying) = self.deploying.remove(key) else { return };
        let now = self.now;
        let slot = self.slot_of_side(key.side);
        let success = result.is_ok();
        match &result {
            Ok(()) => self.write_log(key, "Deployment successful.", LogKind::Message),
            Err(reason) => {
                self.write_log(key, reason, LogKind::Error);
                self.write_log(key, "Deployment Failed.", LogKind::Error);
            }
        }
        if let Some(side) = self.side_mut(key.side) {
            side.deployment_lock = None;
            if success {
                side.deployments.iter_mut().for_each(|record| record.active = false);
            }
        }
        if let Some(record) = self.deployment_mut(key) {
            record.status = if success { DeploymentStatus::Success } else { DeploymentStatus::Failed };
            record.status_text = result.err().unwrap_or_default();
            record.complete = true;
            record.active = success;
            record.ended = Some(now);
        }
        let restarts = (success && deploying.upload.restart) || deploying.first;
        if let Some(slot) = slot.filter(|_| restarts) {
            self.restart_for_content(&slot);
        }
        if !deploying.first {
            self.reach(if success { Milestone::Deployed } else { Milestone::DeployFailed });
        }
    }

    /// Restarts a slot for its new content. A swap that prepares this very slot waits for it again.
    fn restart_for_content(&mut self, slot: &SlotRef) {
        self.restart_instances(slot);
        let preparing = self.running_operation(slot).filter(|operation| {
            operation.source == slot.slot
                && operation.step > SwapStep::Accepted
                && operation.step < SwapStep::Switched
        });
        if let Some(id) = preparing.map(|operation| operation.id.clone()) {
            self.prepare_source_again(&id);
        }
    }

    /// Kudu restarts: a running deployment dies, its record stays as it is (kudu-deploy.md §5).
    pub(super) fn restart_scm(&mut self, slot_ref: &SlotRef) {
        self.kill_deployment(slot_ref);
        let until = self.now + self.durations.scm_restart;
        if let Some(slot) = self.slot_mut(slot_ref) {
            slot.scm.restarting_until = Some(until);
        }
        self.agenda.schedule(until, Event::ScmUp(slot_ref.clone()));
    }

    pub(super) fn scm_is_up(&mut self, slot_ref: &SlotRef) {
        let now = self.now;
        if let Some(slot) = self.slot_mut(slot_ref) {
            slot.scm.restarting_until = slot.scm.restarting_until.filter(|until| *until > now);
        }
    }

    pub(super) fn kill_deployment(&mut self, slot_ref: &SlotRef) {
        let Some(slot) = self.slot_mut(slot_ref) else { return };
        slot.side.deployment_lock = None;
        let side = slot.side.id;
        let keys: Vec<DeploymentKey> =
            self.deploying.keys().filter(|key| key.side == side).cloned().collect();
        for key in keys {
            if let Some(record) = self.deployment_mut(&key) {
                record.killed = true;
            }
            let killed = self.deploying.remove(&key);
            // Once the runtime has the file, removing it is the runtime's.
            if let Some(killed) =
                killed.filter(|dead| dead.temporary && matches!(dead.stage, Stage::Received))
            {
                self.effects.push(Effect::Remove(killed.upload.file));
            }
            self.reach(Milestone::DeployFailed);
        }
    }

    /// All sides of the world.
    pub(super) fn contents(&self) -> impl Iterator<Item = &Side> {
        self.sites.values().flat_map(|site| site.slots.values().map(|slot| &slot.side))
    }
}

fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}
