//! Time and chance for one run of a transaction script, handed in from outside: a script that is run again sees the same.

use super::time::Timestamp;

/// The moment of a request, and the ids that it may give away.
#[derive(Debug, Clone)]
pub struct Moment {
    /// When it is.
    pub now: Timestamp,
    seed: [u8; 16],
    drawn: u64,
}

impl Moment {
    /// A moment from random bits. The same bits give the same ids in the same order.
    pub fn new(now: Timestamp, seed: [u8; 16]) -> Moment {
        Moment { now, seed, drawn: 0 }
    }

    /// Sixteen bytes for an id that nobody else gives away. They are unique, not secret: nothing may rest on their being unguessable.
    pub fn id(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let (high, low) = self.seed.split_at(8);
        let part = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("a seed is two times eight bytes"));
        let first = mix(part(high).wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let second = mix(part(low) ^ first);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&first.to_le_bytes());
        id[8..].copy_from_slice(&second.to_le_bytes());
        id
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so distinct inputs stay distinct.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_draws_the_same_ids_and_no_id_twice() {
        let moment = Moment::new(Timestamp::EPOCH, [7; 16]);
        let draw = |mut moment: Moment| (0..1000).map(|_| moment.id()).collect::<Vec<_>>();
        let (first, second) = (draw(moment.clone()), draw(moment));
        assert_eq!(first, second);
        assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 1000);
    }
}
