//! What shells and `man` are told of the command line.

use crate::support::run;

#[test]
fn completions_for_each_shell_name_subcommands_and_flags() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&["completions", shell], b"");
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{shell}: {ended:?}");
        for word in ["wsduo", "serve", "slow-consumer"] {
            assert!(ended.text().contains(word), "{word} is not in what {shell} is told");
        }
    }
    let ended = run(&["completions", "dos"], b"");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.starts_with("error: invalid value 'dos' for '<SHELL>'\n"), "{ended:?}");
}

#[test]
fn there_is_a_page_for_the_command_and_for_each_subcommand() {
    let ended = run(&["man"], b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().contains(".TH wsduo 1 "), "{ended:?}");
    for name in ["connect", "ping", "doctor", "send", "receive", "serve", "demo", "completions", "man"] {
        assert!(ended.text().contains(&format!("wsduo\\-{name}(1)")), "{name} is not in the page");
        let page = run(&["man", name], b"");
        assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""), "{name}: {page:?}");
        assert!(page.text().contains(&format!(".TH wsduo-{name} 1 ")), "{name}: {page:?}");
    }
    let ended = run(&["man", "shout"], b"");
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(2), "wsduo: no subcommand is called \"shout\"; see wsduo --help\n")
    );
}
