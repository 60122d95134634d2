//! CPU instructions: prefetch, and comparison of all lanes of a group in one step.
//!
//! All `unsafe` of this crate is here. Each function is safe to call. CPUs other than x86-64 use
//! plain Rust.

#![allow(unsafe_code, reason = "the one place in this crate")]

/// Lanes of a group; the tags of a group are one 128-bit word.
pub(crate) const LANES: usize = 16;

/// Lanes of a group that have times.
pub(crate) const TIMES: usize = 12;

/// Prefetches the cache line at an address. Any address is allowed.
#[inline]
pub fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads and writes nothing, and does not fault.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _unused = address;
}

/// The lanes of a group with this tag; lane n is bit n.
#[inline]
pub(crate) fn lanes_equal(tags: &[u8; LANES], tag: u8) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64; the load is unaligned and within the array.
    unsafe {
        use core::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
        let tags = _mm_loadu_si128(tags.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(tag.cast_signed()))).cast_unsigned()
    }
    #[cfg(not(target_arch = "x86_64"))]
    mask_of::<LANES>(|lane| tags[lane] == tag)
}

/// The lanes of eight with this tag; lane n is bit n.
#[inline]
pub fn lanes_with(tags: &[u32; 8], tag: u32) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64; the loads are unaligned and within the array.
    unsafe {
        use core::arch::x86_64::{
            __m128i, _mm_cmpeq_epi32, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16,
            _mm_packs_epi32, _mm_set1_epi32, _mm_setzero_si128,
        };
        let tag = _mm_set1_epi32(tag.cast_signed());
        let equal = |half: usize| -> __m128i {
            _mm_cmpeq_epi32(_mm_loadu_si128(tags.as_ptr().add(4 * half).cast()), tag)
        };
        let words = _mm_packs_epi32(equal(0), equal(1));
        _mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128())).cast_unsigned()
    }
    #[cfg(not(target_arch = "x86_64"))]
    mask_of::<8>(|lane| tags[lane] == tag)
}

/// True if six words are equal. In the last word only the bits of the mask count.
#[inline]
pub(crate) fn words_equal(one: &[u64; 6], other: &[u64; 6], mask: u64) -> bool {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64; the loads are unaligned and within the arrays.
    unsafe {
        use core::arch::x86_64::{
            __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8,
            _mm_or_si128, _mm_set_epi64x, _mm_setzero_si128, _mm_xor_si128,
        };
        let difference = |pair: usize| -> __m128i {
            let one = _mm_loadu_si128(one.as_ptr().add(2 * pair).cast());
            let other = _mm_loadu_si128(other.as_ptr().add(2 * pair).cast());
            _mm_xor_si128(one, other)
        };
        let masked = _mm_and_si128(difference(2), _mm_set_epi64x(mask.cast_signed(), -1));
        let all = _mm_or_si128(_mm_or_si128(difference(0), difference(1)), masked);
        _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_setzero_si128())) == 0xffff
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let pairs = one.iter().zip(other);
        let difference = pairs.take(5).fold(0, |all, (one, other)| all | (one ^ other));
        difference | ((one[5] ^ other[5]) & mask) == 0
    }
}

/// The lanes whose value is behind `now` by more than a limit; lane n is bit n. The limit is `odd`
/// for values with an odd difference from `now`, and `even` for the others.
///
/// Differences are signed and limits are below 2^31: a value ahead of `now` is not behind it.
#[inline]
pub(crate) fn lanes_behind(values: &[u32; TIMES], now: u32, even: u32, odd: u32) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64; the loads are unaligned and within the array.
    unsafe {
        use core::arch::x86_64::{
            __m128i, _mm_and_si128, _mm_cmpeq_epi32, _mm_cmpgt_epi32, _mm_loadu_si128,
            _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32, _mm_set1_epi32, _mm_setzero_si128,
            _mm_sub_epi32,
        };
        let now = _mm_set1_epi32(now.cast_signed());
        let even_limit = _mm_set1_epi32(even.cast_signed());
        let less_when_odd = _mm_set1_epi32(even.wrapping_sub(odd).cast_signed());
        let one = _mm_set1_epi32(1);
        let behind = |third: usize| -> __m128i {
            let values = _mm_loadu_si128(values.as_ptr().add(4 * third).cast());
            let difference = _mm_sub_epi32(now, values);
            let is_odd = _mm_cmpeq_epi32(_mm_and_si128(difference, one), one);
            let limit = _mm_sub_epi32(even_limit, _mm_and_si128(is_odd, less_when_odd));
            _mm_cmpgt_epi32(difference, limit)
        };
        let low = _mm_packs_epi32(behind(0), behind(1));
        let high = _mm_packs_epi32(behind(2), _mm_setzero_si128());
        _mm_movemask_epi8(_mm_packs_epi16(low, high)).cast_unsigned()
    }
    #[cfg(not(target_arch = "x86_64"))]
    mask_of::<TIMES>(|lane| {
        let difference = now.wrapping_sub(values[lane]).cast_signed();
        difference > if difference & 1 == 1 { odd } else { even }.cast_signed()
    })
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn mask_of<const COUNT: usize>(holds: impl Fn(usize) -> bool) -> u32 {
    (0..COUNT).fold(0, |mask, lane| mask | u32::from(holds(lane)) << lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lanes_are_found_in_every_position() {
        for pattern in 0..=u16::MAX {
            let tags: [u8; LANES] =
                core::array::from_fn(|lane| if pattern >> lane & 1 == 1 { 200 } else { 100 });
            assert_eq!(lanes_equal(&tags, 200), u32::from(pattern));
            assert_eq!(lanes_equal(&tags, 7), 0);
        }
    }

    #[test]
    fn lanes_with_a_tag_are_found_in_every_position() {
        for pattern in 0..=u8::MAX {
            let tags: [u32; 8] =
                core::array::from_fn(|lane| if pattern >> lane & 1 == 1 { 1 << 31 } else { 1 });
            assert_eq!(lanes_with(&tags, 1 << 31), u32::from(pattern));
            assert_eq!(lanes_with(&tags, 1 << 15), 0);
        }
    }

    #[test]
    fn words_differ_by_any_bit_that_counts() {
        let words = [0x0123_4567_89ab_cdef_u64; 6];
        let mask = 0xffff_0000_ffff_0000;
        assert!(words_equal(&words, &words, mask));
        for bit in 0..384 {
            let mut other = words;
            other[bit / 64] ^= 1 << (bit % 64);
            let counts = bit < 320 || mask >> (bit % 64) & 1 == 1;
            assert_eq!(words_equal(&words, &other, mask), !counts, "bit {bit}");
        }
    }

    #[test]
    fn lanes_behind_match_the_plain_definition() {
        let (even, odd) = (30_000, 4000);
        for now in [0_u32, 1, 29_999, 1 << 31, u32::MAX] {
            let ages =
                [0, 1, 3999, 4000, 4001, 4002, 29_999, 30_000, 30_001, 30_002, 3, 0x7fff_ffff_i32];
            let values: [u32; TIMES] =
                core::array::from_fn(|lane| now.wrapping_sub_signed(ages[lane]));
            let expected = mask_of::<TIMES>(|lane| {
                ages[lane] > if ages[lane] & 1 == 1 { 4000 } else { 30_000 }
            });
            assert_eq!(lanes_behind(&values, now, even, odd), expected, "now {now}");
        }
    }
}
