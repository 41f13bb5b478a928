//! Reads what clients send as parameters: JSON as lenient as the plugin's reader (Gson) takes it.
//!
//! Clients rely on it: the plugin's own Java example sends `{param1:red, param2:white}`. Every value becomes text, a
//! number the text as it was written. Nothing nests, so hostile nesting ends at the first inner bracket.

use crate::domain::Parameters;

/// Far above any payload seen, and low enough to hold several at a time.
const LONGEST: usize = 16 * 1024 * 1024;

/// Jenkins shows each as a row of a form; a build with more is a mistake or an attack.
const MOST_PARAMETERS: usize = 4096;

/// A line that some servers put before JSON so that browsers don't run it.
const GUARD: &str = ")]}'\n";

/// Why a payload does not read; never shows a value, which might be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Empty, blank or `null`: not the same as no parameters.
    #[error("the payload is empty or null where an object is expected; send {{}} for an empty one")]
    Null,
    #[error("cannot read payload at line {line}, column {column}: {reason}")]
    Syntax { line: usize, column: usize, reason: &'static str },
    #[error("duplicate key: {name:?}")]
    Duplicate { name: String },
    #[error("the payload has {length} bytes, more than the {LONGEST} that are read")]
    TooLong { length: usize },
    #[error("the payload has more than {MOST_PARAMETERS} parameters")]
    TooMany,
}

/// Reads a payload into parameters, in the order in which they were sent.
///
/// # Errors
///
/// Fails as the plugin's reader does, and on payloads out of all proportion. What is no UTF-8 is replaced, as there.
pub fn read(payload: &[u8]) -> Result<Parameters, PayloadError> {
    if payload.len() > LONGEST {
        return Err(PayloadError::TooLong { length: payload.len() });
    }
    let text = String::from_utf8_lossy(payload);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Reader { text, at: 0 }.document()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Parameters, PayloadError> {
        self.skip_blanks()?;
        if self.rest().starts_with(GUARD) {
            self.at += GUARD.len();
        }
        let parameters = match self.skip_blanks()? {
            None => return Err(PayloadError::Null),
            Some(b'{') => self.object()?,
            Some(b'[') => self.pairs()?,
            // What follows a null is not looked at, as in the plugin; the answer is the same.
            Some(_) => match self.value()? {
                None => return Err(PayloadError::Null),
                Some(_) => return Err(self.error("expected an object")),
            },
        };
        match self.skip_blanks()? {
            None => Ok(parameters),
            Some(_) => Err(self.error("there is more after the end of the object")),
        }
    }

    fn object(&mut self) -> Result<Parameters, PayloadError> {
        let mut parameters = Parameters::new();
        self.at += 1;
        if self.skip_blanks()? == Some(b'}') {
            self.at += 1;
            return Ok(parameters);
        }
        loop {
            let key = self.key()?;
            self.colon()?;
            self.skip_blanks()?;
            let value = self.value()?;
            self.insert(&mut parameters, key, value)?;
            match self.skip_blanks()? {
                Some(b'}') => break,
                Some(b',' | b';') => self.at += 1,
                _ => {
                    return Err(self.error("expected , or } after a value; a value with blanks has to stand in quotes"));
                }
            }
            self.skip_blanks()?;
        }
        self.at += 1;
        Ok(parameters)
    }

    /// Reads an array of pairs, `[["name", "value"]]`, which the plugin takes by accident.
    fn pairs(&mut self) -> Result<Parameters, PayloadError> {
        let mut parameters = Parameters::new();
        self.at += 1;
        if self.skip_blanks()? == Some(b']') {
            self.at += 1;
            return Ok(parameters);
        }
        loop {
            if self.skip_blanks()? != Some(b'[') {
                return Err(self.error("expected a pair of name and value in square brackets"));
            }
            self.at += 1;
            self.skip_blanks()?;
            let Some(key) = self.value()? else {
                return Err(self.error("a parameter's name cannot be null"));
            };
            if !matches!(self.skip_blanks()?, Some(b',' | b';')) {
                return Err(self.error("expected , and a value"));
            }
            self.at += 1;
            // Within an array, nothing at all is a null.
            let value = match self.skip_blanks()? {
                Some(b']') => None,
                _ => self.value()?,
            };
            if self.skip_blanks()? != Some(b']') {
                return Err(self.error("expected ] after the pair"));
            }
            self.at += 1;
            self.insert(&mut parameters, key, value)?;
            match self.skip_blanks()? {
                Some(b']') => break,
                Some(b',' | b';') => self.at += 1,
                _ => return Err(self.error("expected , or ] after a pair")),
            }
        }
        self.at += 1;
        Ok(parameters)
    }

    fn key(&mut self) -> Result<String, PayloadError> {
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote),
            _ => match self.unquoted() {
                "" => Err(self.error("expected a parameter's name")),
                name => Ok(name.to_owned()),
            },
        }
    }

    /// Reads `:`, `=` or `=>`.
    fn colon(&mut self) -> Result<(), PayloadError> {
        match self.skip_blanks()? {
            Some(b':') => self.at += 1,
            Some(b'=') => self.at += if self.rest().starts_with("=>") { 2 } else { 1 },
            _ => return Err(self.error("expected : after a parameter's name")),
        }
        Ok(())
    }

    /// Reads a value as text; none if it is null.
    fn value(&mut self) -> Result<Option<String>, PayloadError> {
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => return self.quoted(quote).map(Some),
            Some(b'{' | b'[') => return Err(self.error("a value cannot be an object or an array")),
            _ => {}
        }
        match self.unquoted() {
            "" => Err(self.error("expected a value")),
            word if word.eq_ignore_ascii_case("null") => Ok(None),
            word if word.eq_ignore_ascii_case("true") => Ok(Some("true".to_owned())),
            word if word.eq_ignore_ascii_case("false") => Ok(Some("false".to_owned())),
            word => Ok(Some(word.to_owned())),
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<String, PayloadError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(length) = rest.find([quote as char, '\\']) else {
                self.at = start;
                return Err(self.error("this quote is never closed"));
            };
            text.push_str(&rest[..length]);
            self.at += length + 1;
            if self.text.as_bytes()[self.at - 1] == quote {
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, PayloadError> {
        let escaped = match self.peek() {
            Some(b't') => '\t',
            Some(b'b') => '\x08',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b'f') => '\x0c',
            Some(c @ (b'\n' | b'\'' | b'"' | b'\\' | b'/')) => c as char,
            Some(b'u') => {
                self.at += 1;
                return self.code_point();
            }
            _ => return Err(self.error("unknown escape sequence")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// Reads the digits of `\uXXXX`, of two if they make one character; half a character is replaced.
    fn code_point(&mut self) -> Result<char, PayloadError> {
        let first = self.hexadecimal()?;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            let after_first = self.at;
            self.at += 2;
            let second = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&second) {
                let joined = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_first;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&mut self) -> Result<u32, PayloadError> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| self.error("\\u needs four hexadecimal digits"))?;
        self.at += 4;
        Ok(number)
    }

    /// Reads up to the next character that means something; may be empty.
    fn unquoted(&mut self) -> &str {
        let start = self.at;
        let rest = self.rest();
        self.at += rest.find(|c| "/\\;#={}[]:, \t\x0c\r\n".contains(c)).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    /// Skips white space and comments, and returns what comes next.
    fn skip_blanks(&mut self) -> Result<Option<u8>, PayloadError> {
        loop {
            let rest = self.rest();
            if rest.starts_with([' ', '\t', '\r', '\n']) {
                self.at += 1;
            } else if rest.starts_with('#') || rest.starts_with("//") {
                self.at += rest.find(['\r', '\n']).unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let length = comment.find("*/").ok_or_else(|| self.error("this comment is never closed"))?;
                self.at += "/*".len() + length + "*/".len();
            } else {
                return Ok(self.peek());
            }
        }
    }

    fn insert(&self, parameters: &mut Parameters, name: String, value: Option<String>) -> Result<(), PayloadError> {
        // The plugin notices a repeated key by the value that it replaces, hence not after a null.
        if parameters.get(&name).is_some() {
            return Err(PayloadError::Duplicate { name });
        }
        parameters.set(name, value);
        if parameters.len() > MOST_PARAMETERS { Err(PayloadError::TooMany) } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, reason: &'static str) -> PayloadError {
        let before = &self.text[..self.at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        PayloadError::Syntax { line, column: before[line_start..].chars().count() + 1, reason }
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
