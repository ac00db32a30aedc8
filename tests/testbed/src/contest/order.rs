//! The order of the cells of a round, different in each round and the same for the same seed.

use crate::random::Seeded;

/// Puts the cells of a round into an order that depends on seed and round alone (Fisher and Yates).
pub fn shuffle<T>(items: &mut [T], seed: u64, round: u32) {
    let mut random = Seeded::new(seed ^ (u64::from(round) << 32));
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(seed: u64, round: u32) -> Vec<u32> {
        let mut items: Vec<u32> = (0..20).collect();
        shuffle(&mut items, seed, round);
        items
    }

    #[test]
    fn the_same_seed_gives_the_same_order_and_each_round_another() {
        assert_eq!(shuffled(7, 3), shuffled(7, 3));
        assert_ne!(shuffled(7, 3), shuffled(7, 4));
        assert_ne!(shuffled(7, 3), shuffled(8, 3));
    }

    #[test]
    fn nothing_is_lost_and_everything_gets_everywhere() {
        let mut seen = [[false; 20]; 20];
        for round in 0..1_000 {
            let mut order = shuffled(1, round);
            for (place, item) in order.iter().enumerate() {
                seen[place][*item as usize] = true;
            }
            order.sort_unstable();
            assert_eq!(order, (0..20).collect::<Vec<u32>>());
        }
        assert!(seen.iter().flatten().all(|seen| *seen));
    }
}
