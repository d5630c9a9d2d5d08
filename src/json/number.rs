//! A JSON number as Python holds it: an integer of any length, or a float with its infinities. Here also: how Python prints it.

use std::fmt;

/// An integer or a float. `==` compares kinds too: `1` is not `1.0`.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// An integer that fits.
    Int(i64),
    /// An integer that does not fit an `i64`: decimal digits without leading zeros, after a `-` when negative.
    Big(Box<str>),
    /// A float, possibly NaN or infinite.
    Float(f64),
}

impl Number {
    /// An integer from a `-` or nothing, and digits. The caller has checked that there is at least one digit and nothing else.
    pub(crate) fn from_digits(text: &str) -> Number {
        if let Ok(small) = text.parse() {
            return Number::Int(small);
        }
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
        let digits = digits.trim_start_matches('0');
        Number::Big(format!("{sign}{digits}").into())
    }

    /// The integer, if the number has no fraction and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Number::Int(integer) => Some(*integer),
            Number::Big(_) => None,
            // 2^63 is exact in a float, i64::MAX is not.
            Number::Float(float) => {
                let fits = float.fract() == 0.0
                    && *float >= -9_223_372_036_854_775_808.0
                    && *float < 9_223_372_036_854_775_808.0;
                fits.then_some(*float as i64)
            }
        }
    }

    /// The nearest float; infinite for integers beyond all floats.
    pub fn as_f64(&self) -> f64 {
        match self {
            Number::Int(integer) => *integer as f64,
            Number::Big(digits) => digits.parse().expect("digits are a float to Rust, however many"),
            Number::Float(float) => *float,
        }
    }

    /// Whether JSON Schema calls it an integer: no fraction, not infinite.
    pub fn is_integer(&self) -> bool {
        match self {
            Number::Int(_) | Number::Big(_) => true,
            Number::Float(float) => float.fract() == 0.0,
        }
    }
}

/// Python's `repr`: `1`, `0.5`, `1e+16`, `nan`, `-inf`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(integer) => write!(f, "{integer}"),
            Number::Big(digits) => f.write_str(digits),
            Number::Float(float) if float.is_nan() => f.write_str("nan"),
            Number::Float(float) if *float == f64::INFINITY => f.write_str("inf"),
            Number::Float(float) if *float == f64::NEG_INFINITY => f.write_str("-inf"),
            Number::Float(float) => f.write_str(&finite_repr(*float)),
        }
    }
}

/// The fewest digits that read back as this float, as Python lays them out: an exponent below 1e-4 and from 1e16 on.
fn finite_repr(float: f64) -> String {
    let text = shortest(float);
    let (mantissa, exponent) = text.split_once('e').expect("Rust writes an exponent when asked to");
    let exponent: i32 = exponent.parse().expect("an exponent is a small integer");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits = mantissa.replace('.', "");
    let point = exponent.unsigned_abs() as usize;
    match exponent {
        -4..=-1 => format!("{sign}0.{}{digits}", "0".repeat(point - 1)),
        0..=15 if digits.len() > point + 1 => format!("{sign}{}.{}", &digits[..=point], &digits[point + 1..]),
        0..=15 => format!("{sign}{digits}{}.0", "0".repeat(point + 1 - digits.len())),
        _ => format!("{sign}{mantissa}e{}{point:02}", if exponent < 0 { '-' } else { '+' }),
    }
}

/// The fewest digits that read back as this float, as Rust writes them with an exponent. Where two such numbers are equally near,
/// Rust takes the upper one and Python the even one, which is what rounding to that many digits gives.
fn shortest(float: f64) -> String {
    let upper = format!("{float:e}");
    let digits = upper.bytes().take_while(|&byte| byte != b'e').filter(u8::is_ascii_digit).count();
    let even = format!("{float:.0$e}", digits - 1);
    if even.parse() == Ok(float) { even } else { upper }
}

macro_rules! from_small_integers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Number {
            fn from(integer: $kind) -> Number {
                Number::Int(i64::from(integer))
            }
        }
    )*};
}
from_small_integers!(i8, i16, i32, i64, u8, u16, u32);

impl From<u64> for Number {
    fn from(integer: u64) -> Number {
        i64::try_from(integer).map_or_else(|_| Number::Big(integer.to_string().into()), Number::Int)
    }
}

impl From<usize> for Number {
    fn from(integer: usize) -> Number {
        Number::from(integer as u64)
    }
}

impl From<f64> for Number {
    fn from(float: f64) -> Number {
        Number::Float(float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_python() {
        // Recorded from Python 3.11: repr(float(..)).
        for (bits, printed) in RECORDED {
            assert_eq!(Number::Float(f64::from_bits(bits)).to_string(), printed);
        }
    }

    #[test]
    fn digits_lose_their_leading_zeros_and_a_negative_zero_its_sign() {
        let printed = [
            "-0",
            "007",
            "00000000000000000000000000",
            "-09223372036854775809",
            "9223372036854775807",
            "9223372036854775808",
        ]
        .map(|text| Number::from_digits(text).to_string());
        assert_eq!(printed, ["0", "7", "0", "-9223372036854775809", "9223372036854775807", "9223372036854775808"]);
        assert!(matches!(Number::from_digits("9223372036854775808"), Number::Big(_)));
    }

    #[rustfmt::skip]
    const RECORDED: [(u64, &str); 67] = [
        (0x0, "0.0"), (0x8000000000000000, "-0.0"), (0x3ff0000000000000, "1.0"), (0xbff8000000000000, "-1.5"),
        (0x3fb999999999999a, "0.1"), (0x3f1a36e2eb1c432d, "0.0001"), (0x3f202e4b6ce5dc68, "0.00012345"),
        (0x3ee4f8b588e368f1, "1e-05"), (0x3f19f3c70c996b76, "9.9e-05"), (0x430c6bf526340000, "1000000000000000.0"),
        (0x4341c37937e08000, "1e+16"), (0x4341c37937e07fff, "9999999999999998.0"),
        (0x4345ee2a2eb5a5c4, "1.2345678901234568e+16"), (0x437b69b4ba630f35, "1.2345678901234568e+17"),
        (0x1, "5e-324"), (0x10000000000000, "2.2250738585072014e-308"),
        (0x7fefffffffffffff, "1.7976931348623157e+308"), (0x4480f0cf064dd592, "1e+22"), (0x44b52d02c7e14af6, "1e+23"),
        (0x54b249ad2594c37d, "1e+100"), (0xab2bff2ee48e0530, "-1e-100"), (0x3fd3333333333333, "0.3"),
        (0x3fe5555555555555, "0.6666666666666666"), (0x4059000000000000, "100.0"), (0x40934a0000000000, "1234.5"),
        (0x7ff8000000000000, "nan"), (0x7ff0000000000000, "inf"), (0xfff0000000000000, "-inf"),
        (0xf2a74de452e6b438, "-1.989032661366619e+244"), (0x6513270e269e0d37, "7.761117632285041e+178"),
        (0xc5c7fd0a6a3a450, "3.980498358697587e-249"), (0xd23f0824128b2f33, "-1.5432835417340557e+88"),
        (0x1818e811892f902b, "1.3647584518757569e-192"), (0x9531985d5d9dc9f8, "-1.3701135617873088e-206"),
        (0xe8e25d940ed90475, "-1.7160537630466207e+197"), (0x36f675cc81e74ef5, "6.294675241195386e-44"),
        (0x1600a35a099950d8, "1.0613447212142254e-202"), (0x6b0d549b6f03675a, "4.708325160387546e+207"),
        (0x3d9c172411e20b8f, "6.387016158513563e-12"), (0x8d116ece1738f7d9, "-9.973130378568733e-246"),
        (0xc380c2965c684d6d, "-1.5096162171497206e+17"), (0x3f8acf513989e59a, "0.013090738838615935"),
        (0x41e376fbb5544fce, "2612518314.634742"), (0x4200adaf69091ef4, "8954178849.140114"),
        (0x3e525eb07f4d6975, "1.7108284528077355e-08"), (0x3e799199af37605e, "9.525102111858401e-08"),
        (0x3ee7c458daadca7f, "1.1332979587418524e-05"), (0xbf060fa1f9afe337, "-4.207814273366475e-05"),
        (0x41c8402c675248e4, "813717710.6428494"), (0xc395434621537ad7, "-3.8303635179613126e+17"),
        (0x3ece88f4cab11e31, "3.6400538952240917e-06"), (0x4242ffbfaf4e775c, "163200327324.9325"),
        (0xbeda2eeb2d543c8b, "-6.242579464257131e-06"), (0x3e79a1f30bf506dd, "9.548893141911562e-08"),
        (0x4207faa388156b2d, "12873658626.677332"), (0xc29564f21e23f5e0, "-5880825743613.469"),
        (0x430207e744bc680e, "634404931603713.8"), (0xc1ebb1b90a0eda7a, "-3717056592.4641695"),
        (0x408a770fe84a5e65, "846.882767277723"), (0xc361c8c5799b3305, "-4.004660062726353e+16"),
        // Ties and powers of two.
        (0x430a89111142111a, "933631973933603.2"), (0x430c49153220b5d2, "995206841505466.2"), (0x430431de8172a2fa, "710541407310943.2"), (0x3d30000000000000, "5.684341886080802e-14"), (0x4350000000000000, "1.8014398509481984e+16"), (0x1, "5e-324"), (0x4340000000000000, "9007199254740992.0"),
    ];
}
