//! Identifiers that look like AWS's and are the same in every run of the same scenario.

/// A source of identifiers.
#[derive(Debug)]
pub struct Ids {
    random: fastrand::Rng,
}

impl Ids {
    /// `seed` keeps the identifiers of two sources apart.
    pub fn seeded(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed) }
    }

    /// A version 4 UUID, 36 characters.
    pub fn uuid(&mut self) -> String {
        let digits = self.digits(32);
        format!(
            "{}-{}-4{}-a{}-{}",
            &digits[..8],
            &digits[8..12],
            &digits[13..16],
            &digits[17..20],
            &digits[20..]
        )
    }

    /// An instance id.
    pub fn instance(&mut self) -> String {
        format!("i-{}", self.digits(17))
    }

    /// `count` hexadecimal digits, at most 32.
    pub fn digits(&mut self, count: usize) -> String {
        let mut digits = format!("{:032x}", self.random.u128(..));
        digits.truncate(count);
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_the_shape_of_aws() {
        let mut ids = Ids::seeded(1);
        let uuid = ids.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(ids.instance().len(), 19);
    }
}
