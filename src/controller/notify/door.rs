//! How many deliveries to one receiver are under way: few while it answers, one while it does not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many deliveries to one receiver are under way at one time.
const WIDTH: usize = 4;
/// Whoever does not get in within this comes again later.
const PATIENCE: Duration = Duration::from_secs(1);

/// The doors of all receivers, by the way to each.
#[derive(Default)]
pub(super) struct Doors(Mutex<HashMap<String, Door>>);

#[derive(Clone)]
struct Door {
    wide: Arc<Semaphore>,
    /// While the receiver does not answer, whoever enters holds this as well.
    narrow: Arc<Semaphore>,
    failing: Arc<Mutex<bool>>,
}

/// A delivery under way.
pub(super) struct Pass {
    door: Door,
    _wide: OwnedSemaphorePermit,
    _narrow: Option<OwnedSemaphorePermit>,
}

impl Doors {
    /// Lets a delivery in, or sends it away after a while.
    pub(super) async fn enter(&self, way: &str) -> Option<Pass> {
        let door = self.door(way);
        let entered = async {
            let is_failing = *door.failing.lock().unwrap_or_else(PoisonError::into_inner);
            let narrow = match is_failing {
                true => Some(door.narrow.clone().acquire_owned().await.ok()?),
                false => None,
            };
            let wide = door.wide.clone().acquire_owned().await.ok()?;
            Some((wide, narrow))
        };
        let (wide, narrow) = tokio::time::timeout(PATIENCE, entered).await.ok().flatten()?;
        Some(Pass {
            door,
            _wide: wide,
            _narrow: narrow,
        })
    }

    fn door(&self, way: &str) -> Door {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let door = doors.entry(way.to_owned()).or_insert_with(|| Door {
            wide: Arc::new(Semaphore::new(WIDTH)),
            narrow: Arc::new(Semaphore::new(1)),
            failing: Arc::default(),
        });
        door.clone()
    }
}

impl Pass {
    /// What came of the delivery.
    pub(super) fn came_back(self, answered: bool) {
        *self.door.failing.lock().unwrap_or_else(PoisonError::into_inner) = !answered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn feature_f5_a_receiver_that_hangs_holds_few_and_then_one_and_others_none() {
        let doors = Doors::default();
        let mut inside = Vec::new();
        for _ in 0..WIDTH {
            inside.extend(doors.enter("hangs").await);
        }
        assert_eq!(inside.len(), WIDTH);
        assert!(doors.enter("hangs").await.is_none(), "no more than a few");
        assert!(doors.enter("other").await.is_some(), "others are not held up");
        for pass in inside.drain(..) {
            pass.came_back(false);
        }
        let alone = doors.enter("hangs").await;
        assert!(
            alone.is_some() && doors.enter("hangs").await.is_none(),
            "one at a time while it fails"
        );
        if let Some(pass) = alone {
            pass.came_back(true);
        }
        let (first, second) = (doors.enter("hangs").await, doors.enter("hangs").await);
        assert!(first.is_some() && second.is_some(), "and again several once it answers");
    }
}
