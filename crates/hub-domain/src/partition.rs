//! The partition of a device: a hash that is part of the disk format.

/// The partition of a device's messages: FNV-1a (64 bit) over the device id's bytes, folded, modulo the partition count.
///
/// Written down with vectors because stored logs depend on it. A module's messages go to its device's partition.
pub fn partition_of(device_id: &str, partition_count: u16) -> u16 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in device_id.bytes() {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    u16::try_from(folded % u64::from(partition_count.max(1)))
        .expect("a remainder is below its divisor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_disk_format() {
        let partitions: Vec<u16> = ["", "d1", "device-1", "sensor-000042", "X"]
            .iter()
            .map(|d| partition_of(d, 32))
            .collect();
        assert_eq!(partitions, [1, 1, 20, 13, 11]);
    }

    #[test]
    fn devices_spread_over_partitions() {
        let mut counts = [0u32; 4];
        for n in 0..4_000 {
            counts[usize::from(partition_of(&format!("device-{n}"), 4))] += 1;
        }
        assert!(
            counts.iter().all(|c| (800..1_200).contains(c)),
            "{counts:?}"
        );
    }
}
