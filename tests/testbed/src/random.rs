//! Random names, and numbers that a seed decides.

use aws_lc_rs::rand;

/// Random bytes, as lower-case hexadecimal digits.
///
/// # Panics
///
/// When the operating system has no random bytes.
pub(crate) fn hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    if rand::fill(&mut bytes).is_err() {
        panic!("the operating system gives no random bytes");
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Eight characters: enough to keep the names of one control plane apart, and fit for every name in Kubernetes.
pub(crate) fn suffix() -> String {
    hex::<4>()
}

/// A generator of numbers (SplitMix64): the same seed gives the same numbers on every machine, for good.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Seeded {
    /// Begins at a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The `number`-th number of a seed, counted from one.
    pub(crate) fn nth(seed: u64, number: u64) -> u64 {
        Self(seed.wrapping_add(number.wrapping_sub(1).wrapping_mul(STEP))).draw()
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`. The remainder favours small numbers by less than anybody could measure.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut seeded = Seeded::new(1_234_567);
        assert_eq!(seeded.draw(), 6_457_827_717_110_365_317);
        assert_eq!(seeded.draw(), 3_203_168_211_198_807_973);
        assert_eq!(Seeded::nth(1_234_567, 2), 3_203_168_211_198_807_973);
    }
}
