//! What the documentation shows is true.

use synod::fleet::Fleet;

const PAGE: &str = include_str!("../../docs/FLEET.md");

/// Returns the fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opened = PAGE.split("```").skip(1).step_by(2);
    opened.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

#[test]
fn every_fleet_file_on_the_page_is_sound() {
    for (language, count) in [("yaml", 2), ("toml", 1)] {
        let found = blocks(language);
        assert_eq!(found.len(), count, "{language}");
        for text in found {
            let read = Fleet::parse(format!("/x/page.{language}"), text);
            assert!(read.is_ok(), "{language}: {}\n{text}", read.expect_err("refused"));
        }
    }
}

#[test]
fn the_simulation_and_the_governing_on_the_page_are_of_the_fleet_on_the_page() {
    let (fleets, parts) = (blocks("yaml"), blocks("yml"));
    let ([_, fleet], [_, _]) = (fleets.as_slice(), parts.as_slice()) else { panic!("{} parts", parts.len()) };
    for part in parts {
        let read = Fleet::parse("/x/page.yaml", &format!("{fleet}{part}"));
        assert!(read.is_ok(), "{}", read.expect_err("refused"));
    }
}

#[test]
fn every_field_of_the_schema_is_on_the_page() {
    let schema = synod::fleet::schema();
    let definitions = schema["$defs"].as_object().expect("definitions").values();
    for definition in definitions.chain([&schema]) {
        for field in definition["properties"].as_object().into_iter().flatten().map(|(field, _)| field) {
            assert!(PAGE.contains(field.as_str()), "docs/FLEET.md does not name `{field}`");
        }
    }
}
