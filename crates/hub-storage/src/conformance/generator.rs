//! Random choices that a seed repeats.

/// SplitMix64: small, good enough for tests, the same everywhere.
pub(crate) struct Generator {
    state: u64,
    _announced: Announced,
}

/// Names the seed when its test fails.
struct Announced(u64);

impl Drop for Announced {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "random operations failed; to repeat them: {SEED}={}",
                self.0
            );
        }
    }
}

/// The environment variable that sets the seed.
const SEED: &str = "HUB_CONFORMANCE_SEED";

impl Generator {
    /// The choices of `seed`, unless the environment names another one.
    pub(crate) fn new(seed: u64) -> Self {
        let seed = std::env::var(SEED)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(seed);
        Self {
            state: seed,
            _announced: Announced(seed),
        }
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An index below `length`.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("an index of a slice fits")
    }

    /// One of `choices`.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    /// True once in `times`.
    pub(crate) const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
