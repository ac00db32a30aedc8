//! How large a status may get, and what of it goes first.
//!
//! Everybody who watches an Environment gets all of its status with each change, and etcd keeps it. What decisions need is bounded where it
//! is made (the inventory by the admission of a bundle); what only people read is shortened here once that is not enough.

use crate::api::environment::EnvironmentStatus;

/// The most bytes of a status as JSON, with a little left for what others may add: 64 KiB is what an environment may cost.
pub const MAX_STATUS: usize = 63 * 1024;

/// How many bytes of a sentence stay where all of them are too many.
const SHORT: usize = 200;
/// How many stages tell something then.
const TOLD: usize = 8;
/// How many objects of others are named then.
const FOREIGN: usize = 20;
/// How many addresses are told then. One Ingress may have thousands.
const ADDRESSES: usize = 20;

/// Shortens what only people read until the status is small enough, the least important first. A status that is small stays as it is, and
/// shortening again changes nothing.
#[must_use]
pub fn fit(mut status: EnvironmentStatus) -> EnvironmentStatus {
    for shorten in STEPS {
        if size(&status) <= MAX_STATUS {
            break;
        }
        shorten(&mut status);
    }
    status
}

/// The bytes of a status as JSON.
pub fn size(status: &EnvironmentStatus) -> usize {
    serde_json::to_vec(status).map_or(0, |json| json.len())
}

const STEPS: [fn(&mut EnvironmentStatus); 6] = [stuck, foreign, addresses, stages, history, sentences];

fn stuck(status: &mut EnvironmentStatus) {
    for object in &mut status.stuck {
        cut(&mut object.cause);
        object.finalizers.truncate(3);
    }
}

fn foreign(status: &mut EnvironmentStatus) {
    if status.foreign.len() > FOREIGN + 1 {
        let more = status.foreign.len() - FOREIGN;
        status.foreign.truncate(FOREIGN);
        status.foreign.push(format!("and {more} more"));
    }
}

/// The first one is in `url` as well, and nothing but people reads the others.
fn addresses(status: &mut EnvironmentStatus) {
    status.urls.truncate(ADDRESSES);
}

fn stages(status: &mut EnvironmentStatus) {
    status.stages.iter_mut().filter_map(|stage| stage.message.as_mut()).for_each(cut);
}

/// The last three, and the last that was good.
fn history(status: &mut EnvironmentStatus) {
    let good = status.history.iter().position(|run| run.result == "Ready");
    let mut index = 0;
    status.history.retain(|_| {
        index += 1;
        index <= 3 || good == Some(index - 1)
    });
}

fn sentences(status: &mut EnvironmentStatus) {
    status.message.iter_mut().for_each(cut);
    status.request_handled.iter_mut().for_each(|handled| cut(&mut handled.message));
    status.history.iter_mut().filter_map(|run| run.because.as_mut()).for_each(cut);
    status.conditions.iter_mut().for_each(|condition| cut(&mut condition.message));
    status.stuck.truncate(3);
    // The first failures explain the others.
    let mut told = 0;
    for stage in &mut status.stages {
        told += usize::from(stage.message.is_some());
        if told > TOLD {
            stage.message = None;
        }
    }
}

fn cut(text: &mut String) {
    let Some(mut end) = text.len().checked_sub(1).map(|last| last.min(SHORT)) else {
        return;
    };
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if text.len() > SHORT + '…'.len_utf8() {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
