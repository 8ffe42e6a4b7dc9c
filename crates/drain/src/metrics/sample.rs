//! Values of which there may be many.

/// As many values as one metric takes in a line (`CloudWatch`, "Embedded metric format specification").
pub(super) const MOST: usize = 100;

/// Values in the order in which they came: all of them as long as they are few, then every second one, every fourth one, and
/// so on. The largest is always among them.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    values: Vec<f64>,
    largest: f64,
    count: usize,
    every: usize,
}

impl Default for Sample {
    fn default() -> Self {
        Self { values: Vec::new(), largest: f64::MIN, count: 0, every: 1 }
    }
}

impl Sample {
    /// One more.
    pub(crate) fn add(&mut self, value: f64) {
        self.largest = self.largest.max(value);
        if self.count.is_multiple_of(self.every) {
            if self.values.len() == MOST - 1 {
                let mut place = 0;
                self.values.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                self.every *= 2;
            }
            if self.count.is_multiple_of(self.every) {
                self.values.push(value);
            }
        }
        self.count += 1;
    }

    /// Those of another one too.
    pub(super) fn join(&mut self, other: &Self) {
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        for value in &other.values {
            self.add(*value);
        }
        self.largest = self.largest.max(other.largest);
        self.count += other.count - other.values.len();
    }

    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// At most [`MOST`] of them.
    pub(super) fn values(self) -> Vec<f64> {
        let Self { mut values, largest, count, .. } = self;
        if count > 0 && !values.contains(&largest) {
            values.push(largest);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_values_are_all_there() {
        let mut sample = Sample::default();
        assert_eq!(sample.clone().values(), Vec::<f64>::new());
        for value in [3.0, 1.0, 2.0] {
            sample.add(value);
        }
        assert_eq!((sample.count(), sample.values()), (3, vec![3.0, 1.0, 2.0]));
    }

    #[test]
    fn of_many_values_some_are_there_and_the_largest() {
        let mut sample = Sample::default();
        for value in 0..10_000_u32 {
            sample.add(if value == 7_777 { 1e9 } else { f64::from(value) });
        }
        assert_eq!(sample.count(), 10_000);
        let values = sample.values();
        assert!(values.len() <= MOST && values.len() > MOST / 3, "{}", values.len());
        assert!(values.contains(&1e9));
        let middle = values.iter().filter(|value| **value < 5_000.0).count();
        assert!(middle.abs_diff(values.len() / 2) <= 2, "they come from everywhere: {middle}");
    }

    #[test]
    fn two_samples_make_one() {
        let (mut one, mut other) = (Sample::default(), Sample::default());
        for value in 0..500 {
            one.add(f64::from(value));
            other.add(f64::from(value) + 1000.0);
        }
        one.join(&other);
        assert_eq!(one.count(), 1000);
        assert!(one.values().contains(&1499.0));
    }
}
