//! As much of DER as private keys need: reading elements in order, and wrapping a PKCS#1 key.

/// Elements that follow one another.
pub(super) struct Der<'a>(pub(super) &'a [u8]);

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

impl<'a> Der<'a> {
    /// The content of the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let length = match *first {
            short @ 0..0x80 => usize::from(short),
            long => {
                let n_bytes = usize::from(long & 0x7f);
                // Four bytes are 4 GiB; 0 is the indefinite length, which DER does not know.
                if n_bytes == 0 || n_bytes > 4 || rest.len() < n_bytes {
                    return None;
                }
                let (length, after) = rest.split_at(n_bytes);
                rest = after;
                length
                    .iter()
                    .fold(0, |all, byte| all << 8 | usize::from(*byte))
            }
        };
        if *found != tag || rest.len() < length {
            return None;
        }
        let (content, after) = rest.split_at(length);
        self.0 = after;
        Some(content)
    }

    /// The next element as a sequence.
    pub(super) fn sequence(&mut self) -> Option<Der<'a>> {
        self.take(SEQUENCE).map(Der)
    }

    /// The next element as a number of 32 bits.
    pub(super) fn number(&mut self) -> Option<u32> {
        let bytes = self.take(INTEGER)?;
        let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        (bytes.len() <= 4).then(|| {
            bytes
                .iter()
                .fold(0, |all, byte| all << 8 | u32::from(*byte))
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether it is one whole sequence and nothing else, as every key is.
pub(super) fn is_sequence(bytes: &[u8]) -> bool {
    let mut der = Der(bytes);
    der.sequence().is_some() && der.is_empty()
}

/// PKCS#8 around a PKCS#1 key: `SEQUENCE { 0, { rsaEncryption, NULL }, OCTET STRING key }`.
pub(super) fn wrap_pkcs1(key: &[u8]) -> Vec<u8> {
    const VERSION_AND_ALGORITHM: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
        0x01, 0x05, 0x00,
    ];
    let mut inside = VERSION_AND_ALGORITHM.to_vec();
    inside.extend(element(OCTETS, key));
    element(SEQUENCE, &inside)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = (content.len() as u32).to_be_bytes();
    let n_zero = length.iter().take_while(|b| **b == 0).count();
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        _ => {
            out.push(0x80 | (4 - n_zero) as u8);
            out.extend(&length[n_zero..]);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_whatever_make_it_panic() {
        for n in 0..4000_u32 {
            let bytes: Vec<u8> = (0..n % 9)
                .map(|i| (n.wrapping_mul(97 + i) >> 3) as u8)
                .collect();
            let mut der = Der(&bytes);
            let _ = (der.number(), der.sequence(), is_sequence(&bytes));
        }
        for cut in [
            &[0x30, 0x84][..],
            &[0x30, 0x80],
            &[0x30, 5, 1],
            &[0x30, 0x82, 255, 255],
        ] {
            assert!(Der(cut).sequence().is_none());
        }
    }
}
