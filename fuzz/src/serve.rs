//! What is said over the socket of `--serve`: a request, a reply, and the text of a command.

use swathe_plan::serve::{
    MAX_KEPT, Numbers, REPLY_SIZE, REQUEST_SIZE, Reply, Request, Run, Words, text,
};

/// The first bytes are a message, the rest the text that comes with it. What is understood is said
/// in the same way again; a text is read only as what its message says, and written again as it was.
pub fn run(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(REPLY_SIZE));
    if let Some(reply) = Reply::decode(head) {
        assert_eq!(reply.encode().as_slice(), head);
    }
    let (head, rest) = match data.split_at_checked(REQUEST_SIZE) {
        Some(parts) => parts,
        None => (head, rest),
    };
    match Request::decode(head) {
        Some(Request::Run(run)) => {
            assert_eq!(Request::Run(run).encode().as_slice(), head);
            command(&run, rest);
        }
        Some(request) => assert_eq!(request.encode().as_slice(), head),
        None => {}
    }
    // Mostly the numbers do not fit the text: also with those that do.
    let nuls = rest.iter().filter(|&&b| b == 0).count() as u32;
    for variables in 0..nuls.min(4) {
        let arguments = nuls.saturating_sub(1 + variables);
        let kept = Numbers::default();
        command(&Run { terminal: true, arguments, variables, len: rest.len() as u32, kept }, rest);
    }
}

fn command(run: &Run, bytes: &[u8]) {
    assert!(run.kept.as_slice().len() <= MAX_KEPT);
    assert_eq!(run.descriptors(), 4 + run.kept.as_slice().len());
    let Some(words) = Words::parse(run, bytes) else { return };
    assert_eq!(words.arguments.len(), run.arguments as usize);
    assert_eq!(words.variables.len(), run.variables as usize);
    let again = text(words.directory, &words.arguments, &words.variables, run.terminal, run.kept);
    if let Ok((message, again)) = again {
        assert_eq!((message, again.as_slice()), (*run, bytes));
    }
    // At most 64 variables: the work is their square.
    let few = Words { variables: words.variables.iter().take(64).copied().collect(), ..words };
    let base: [&[u8]; 3] = [b"A=1", b"PATH=/bin", b"B="];
    let env = few.environment(base.into_iter());
    assert!(env.len() <= base.len() + few.variables.len());
    assert!(env.iter().all(|entry| entry.contains(&b'=')));
}
