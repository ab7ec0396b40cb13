//! Passwords: argon2id with the parameters that OWASP names (19 MiB, 2 passes, 1 lane).
//!
//! Hashing takes tens of milliseconds and 19 MiB on purpose: call it on a blocking thread, and let no more run at once
//! than there are cores.

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use secrecy::{ExposeSecret, SecretString};

/// The shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// The longest password, in characters: enough for any phrase, too short to waste time on.
pub const PASSWORD_CHARS_MAX: usize = 256;

/// The hash of a password that nobody has, made with the same parameters as real ones.
const DUMMY_PHC: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cmVlZi1kdW1teS1zYWx0IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password was refused or not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    TooShort,
    #[error("a password has at most {PASSWORD_CHARS_MAX} characters")]
    TooLong,
    #[error("the password could not be hashed")]
    NotHashed,
}

/// Checks the rules for new passwords. Only the length counts: rules on kinds of characters make worse passwords.
pub fn check_rules(password: &SecretString) -> Result<(), PasswordError> {
    // Counting stops one past the limit, so that a huge text costs nothing.
    match password.expose_secret().chars().take(PASSWORD_CHARS_MAX + 1).count() {
        0..PASSWORD_CHARS_MIN => Err(PasswordError::TooShort),
        PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

/// The hash of a new password in PHC form, after checking the rules; blocks for tens of milliseconds.
pub fn hash(password: &SecretString) -> Result<String, PasswordError> {
    check_rules(password)?;
    let hashed = Argon2::default().hash_password(password.expose_secret().as_bytes());
    hashed.map(|phc| phc.to_string()).map_err(|_| PasswordError::NotHashed)
}

/// Whether a password is the one of a stored hash; blocks for tens of milliseconds. A hash that cannot be read fits none.
pub fn verify(password: &SecretString, phc: &str) -> bool {
    if check_rules(password) == Err(PasswordError::TooLong) {
        return false;
    }
    let Ok(stored) = PasswordHash::new(phc) else { return false };
    Argon2::default().verify_password(password.expose_secret().as_bytes(), &stored).is_ok()
}

/// Takes as long as [`verify`] and fails: for names that do not exist, so that the time does not tell them apart.
pub fn verify_dummy(password: &SecretString) -> bool {
    // The answer of the hash is not used: even a password that fitted the dummy must open nothing.
    let _ = verify(password, DUMMY_PHC);
    false
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn only_the_same_password_fits() {
        let phc = hash(&secret("correct horse")).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify(&secret("correct horse"), &phc));
        for wrong in ["Correct horse", "correct horse ", "", &"correct horse".repeat(30)] {
            assert!(!verify(&secret(wrong), &phc), "{wrong}");
        }
        assert_ne!(hash(&secret("correct horse")).unwrap(), phc, "the salt is random");
    }

    #[test]
    fn a_hash_that_cannot_be_read_fits_nothing() {
        for phc in ["", "correct horse", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ"] {
            assert!(!verify(&secret("correct horse"), phc), "{phc}");
        }
    }

    #[test]
    fn the_length_is_counted_in_characters() {
        let longest = "ü".repeat(PASSWORD_CHARS_MAX);
        for (text, expect) in [
            ("", Err(PasswordError::TooShort)),
            ("ninechars", Err(PasswordError::TooShort)),
            ("ten chars!", Ok(())),
            ("zehn Zeiü!", Ok(())),
            (&longest, Ok(())),
            (&format!("{longest}!"), Err(PasswordError::TooLong)),
        ] {
            assert_eq!(check_rules(&secret(text)), expect, "{text}");
        }
        assert_eq!(hash(&secret("short")), Err(PasswordError::TooShort));
    }

    #[test]
    fn the_dummy_costs_what_a_real_hash_costs() {
        let dummy = PasswordHash::new(DUMMY_PHC).unwrap();
        let params = Params::try_from(&dummy).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), {
            let real = Params::default();
            (real.m_cost(), real.t_cost(), real.p_cost())
        });
        assert!(!verify_dummy(&secret("correct horse")));
    }
}
