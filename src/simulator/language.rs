/// The language that a client asked for. Jenkins writes every text for people in it, and no client may branch on one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    /// Stands for all others; the exact words matter to nobody.
    German,
}

/// How sentences begin in English, and in German.
const BEGINNINGS: [(&str, &str); 12] = [
    ("Built-In Node", "Eingebauter Knoten"),
    ("Disconnected by ", "Getrennt durch "),
    ("Started by user ", "Gestartet durch Benutzer "),
    ("Started by timer", "Gestartet durch Zeitgeber"),
    ("Started by remote host ", "Gestartet durch entfernten Rechner "),
    ("Started by upstream project ", "Gestartet durch vorgelagertes Projekt "),
    ("Waiting for next available executor", "Wartet auf den nächsten freien Build-Prozessor"),
    ("In the quiet period. Expires in ", "In der Ruhe-Periode. Endet in "),
    ("Build #", "Build Nr. "),
    ("All nodes of label ", "Offline sind alle Knoten des Labels "),
    ("There are no nodes with the label ", "Es gibt keine Knoten mit dem Label "),
    ("Jenkins is about to shut down", "Jenkins wird heruntergefahren"),
];

impl Language {
    /// Reads an `Accept-Language` header, of which the first language counts.
    pub(crate) fn accepted(header: Option<&str>) -> Self {
        match header {
            Some(header) if header.trim_start().to_ascii_lowercase().starts_with("de") => Self::German,
            _ => Self::English,
        }
    }

    /// Says an English sentence in this language.
    pub(crate) fn say(self, english: String) -> String {
        let beginning = || BEGINNINGS.iter().find_map(|(from, to)| Some((to, english.strip_prefix(from)?)));
        match self {
            Self::English => english,
            Self::German => match beginning() {
                Some((beginning, rest)) => format!("{beginning}{rest}"),
                None => english.replace(" is offline", " ist offline"),
            },
        }
    }
}
