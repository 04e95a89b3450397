#include "scanner/code/python/bytecode.hpp"
#include "scanner/code/python/evaluator.hpp"
#include "scanner/code/shell/shell.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr unsigned k_max_nesting = 6;

bool is_url(std::string_view text) {
  return text.find("://") != std::string_view::npos;
}

/// http://10.0.0.1/…: an address instead of a name.
bool names_no_host(std::string_view url) {
  const std::size_t at = url.find("://");
  return at != std::string_view::npos && at + 3 < url.size() && url[at + 3] >= '0' &&
         url[at + 3] <= '9';
}

/// Where people keep what is theirs.
bool is_persons_folder(std::string_view path) {
  if (!path.starts_with("~/")) return false;
  path.remove_prefix(2);
  for (const std::string_view folder:
       {"Documents", "Desktop", "Pictures", "Downloads", "Music", "Videos", "Movies", "OneDrive"})
    if (path == folder) return true;
  return false;
}

R rule_of(shell::Effect effect) {
  switch (effect) {
  case shell::Effect::remote_control:
    return R::remote_control;
  case shell::Effect::theft:
    return R::theft;
  case shell::Effect::persistence:
    return R::persistence;
  case shell::Effect::destruction:
    return R::destruction;
  case shell::Effect::propagation:
    return R::propagation;
  case shell::Effect::beacon:
    return R::beacon;
  case shell::Effect::miner:
    return R::miner;
  case shell::Effect::download_run:
  case shell::Effect::living_off:
    return R::download_run;
  default:
    return R::execution;
  }
}

} // namespace

void Evaluator::report(R id, NodeId at, const Value* value, std::string_view what,
                       std::optional<Severity> severity, std::string_view techniques) {
  // Across files only what is certain, or what loading runs: each file was judged by itself.
  const Severity worth = severity.value_or(rule(id).severity);
  const bool matters = worth == Severity::malicious || (worth == Severity::suspicious && loading_);
  if (modules_ != nullptr && (!matters || in_a_program(tree_[at].begin))) return;
  bool& known = reported_[{rule(id).id, tree_[at].begin}];
  if (known) return;
  known = true;
  std::string evidence;
  if (!unit_.title.empty()) evidence += std::string(unit_.title) + ": ";
  evidence += std::string(what) + ": ";
  const std::uint32_t from = value != nullptr ? value->step : 0;
  evidence += callers(from, tree_[at].begin) + trace(from, tree_[at].begin);
  session_.find(rule(id), offset_of(at), unit_.verbatim ? tree_[at].end - tree_[at].begin : 0,
                evidence,
                {.severity = severity, .condition = unit_.condition, .techniques = techniques});
}

void Evaluator::nested_unit(const Value& code, NodeId at) {
  if (unit_.nesting >= k_max_nesting || !charge(raw(code).size())) {
    session_.gap(Reason::budget, Reach::load, offset_of(at), "code inside code, too deep",
                 unit_.condition);
    return;
  }
  Unit inner = unit_;
  inner.offset = offset_of(at);
  inner.verbatim = false;
  inner.nesting = unit_.nesting + 1;
  inner.describe = false;
  const std::string title = "code run by " + std::string(unit_.title.empty() ? "" : unit_.title) +
                            (unit_.title.empty() ? "" : ", ") + place(tree_[at].begin);
  inner.title = title;
  Tree tree = parse_python(raw(code));
  if (tree.gave_up) return;
  if (session_.showing()) session_.show("source", inner.offset, "# " + title + "\n" + raw(code));
  Evaluator evaluator(std::move(tree), inner, session_, fold_budget_);
  if (!evaluator.run())
    session_.gap(Reason::budget, Reach::load, offset_of(at), "recovered code is too large",
                 unit_.condition);
}

void Evaluator::judge_code(const Value& code, NodeId at, std::string_view callee) {
  const std::string name(callee);
  if ((code.labels & k_remote) != 0) {
    report(R::remote_control, at, &code, "what a socket receives is run as code");
  } else if ((code.labels & k_net) != 0) {
    report(R::execution, at, &code, "downloaded code is run");
  } else if ((code.labels & k_decoded) != 0) {
    // A library's way to make a function of what it is given, by nobody in here.
    const bool given = uncalled_ && !code.is_text() && callee.ends_with("FunctionType");
    report(R::execution, at, &code, "code is decoded and run",
           given ? std::optional(Severity::suspicious) : std::nullopt);
  } else if ((code.labels & k_unpacked) != 0 && unit_.kind == UnitKind::weights) {
    report(R::execution, at, &code, "code is unpacked and run");
  } else if ((code.labels & k_request) != 0) {
    report(R::remote_control, at, &code, "what somebody asks for is run as code",
           Severity::suspicious);
  } else if ((code.labels & k_hub) != 0 && unit_.kind != UnitKind::cell) {
    report(R::execution, at, &code, "code of another repository is run", Severity::suspicious);
  } else if ((code.labels & k_weights) != 0) {
    report(R::execution, at, &code, "numbers of a model or a picture are run as code");
  } else if ((code.labels & k_computed) != 0 && (code.is_text() || name == "exec")) {
    report(R::hidden_code, at, &code, "code is put together from characters and run");
  }
  // Code objects were read where they were made.
  const bool object =
      code.kind == Kind::bytes && (code.labels & k_code) != 0 && raw(code).starts_with('c');
  if (!code.is_text() || code.partial || raw(code).empty() || object) return;
  if (callee == "pandas.eval" && raw(code).find('@') != std::string::npos) {
    std::string plain = raw(code);
    std::erase(plain, '@');
    nested_unit(make_text(std::move(plain), code.labels, false), at);
  } else {
    nested_unit(code, at);
  }
}

void Evaluator::nested_bytecode(const std::string& marshalled, NodeId at) {
  if (!charge(marshalled.size())) return;
  std::string source = source_of_bytecode(as_bytes(marshalled));
  if (source.empty() || !charge(source.size())) return;
  Value text{.kind = Kind::text};
  pool_.push_back(std::move(source));
  text.ref = static_cast<std::uint32_t>(pool_.size() - 1);
  session_.show("code", offset_of(at), raw(text));
  nested_unit(text, at);
}

// types.CodeType(…): marshalled as if it had been read.
Value Evaluator::code_object(const Arguments& arguments, NodeId at) {
  constexpr std::size_t k_most_parts = 20'000;
  std::size_t parts = 0;
  const auto part_of = [&](const auto& self, const Value& value, unsigned depth) -> CodePart {
    if (++parts > k_most_parts || depth > 8) return {};
    if (value.kind == Kind::integer)
      return {.kind = CodePart::Kind::number, .number = value.number};
    if (value.kind == Kind::bytes && (value.labels & k_code) != 0)
      return {.kind = CodePart::Kind::code, .content = raw(value)};
    if (value.is_text())
      return {.kind = value.kind == Kind::text ? CodePart::Kind::text : CodePart::Kind::bytes,
              .content = raw(value)};
    if (value.kind != Kind::list) return {};
    CodePart tuple{.kind = CodePart::Kind::tuple};
    for (const Value& item: lists_[value.ref])
      tuple.items.push_back(self(self, item, depth + 1));
    return tuple;
  };
  std::vector<CodePart> all;
  Labels labels = k_code;
  for (const Value& value: arguments.positional) {
    all.push_back(part_of(part_of, value, 0));
    labels |= value.labels & ~Labels{k_pieces};
  }
  std::string marshalled = marshalled_code(all);
  if (marshalled.empty() || !charge(marshalled.size())) return unknown(labels, at);
  nested_bytecode(marshalled, at);
  Value out{.kind = Kind::bytes, .labels = labels};
  pool_.push_back(std::move(marshalled));
  out.ref = static_cast<std::uint32_t>(pool_.size() - 1);
  return out;
}

void Evaluator::judge_load(const Value& bytes, NodeId at, std::string_view callee) {
  if (callee.starts_with("marshal") && (bytes.labels & k_net) != 0)
    report(R::execution, at, &bytes, "downloaded code is loaded");
  if (bytes.is_text() && (bytes.labels & k_decoded) != 0 && !callee.starts_with("marshal") &&
      raw(bytes).size() > 8 && !bytes.partial) {
    // An encoded pickle in the source: read as what it is.
    MemorySource source(as_bytes(raw(bytes)));
    session_.embedded("pickle@line" + std::to_string(line_number(tree_[at].begin)), source);
  }
}

void Evaluator::judge_hidden_name(const Value& callee, const std::string& path, Op op, NodeId at) {
  if (op == Op::getattr && callee.kind == Kind::name) {
    // Assigned to a special method: called by an operator.
    const Callable* known = find_callable(path);
    if (known != nullptr && runs_something(known->op))
      report(R::hidden_call, at, &callee, "an operator or attribute is made to call " + path);
    return;
  }
  if (!runs_something(op)) return;
  if ((callee.labels & (k_decoded | k_computed)) != 0)
    report(R::hidden_call, at, &callee, "the name of " + path + " is decoded");
  else if ((callee.labels & k_pieces) != 0)
    report(R::hidden_call, at, &callee, "the name of " + path + " is put together");
}

Labels Evaluator::dropped_in(const std::string& command) const {
  for (std::size_t i = 0; i < dropped_.size(); ++i) {
    const auto& [file, labels] = dropped_[i];
    if ((labels & (k_net | k_decoded)) == 0 || file.size() < 3) continue;
    if (command.find(file) != std::string::npos && is_that_file(i, command) &&
        runs_file(command, file))
      return labels;
  }
  return 0;
}

// A command class of setup.py that does more than install.
void Evaluator::judge_install(NodeId at, std::string_view what) {
  if (klass_ == k_nowhere || !unit_.describe) return;
  for (const Value& base: classes_[klass_].bases) {
    if (base.kind != Kind::name) continue;
    const std::string& name = raw(base);
    const bool hook = name.ends_with(".install") || name.ends_with(".develop") ||
                      name.ends_with(".egg_info") || name.ends_with("command.install.install");
    if (!hook || (!name.starts_with("setuptools") && !name.starts_with("distutils"))) continue;
    session_.find(rule(R::install_hook), offset_of(at), tree_[at].end - tree_[at].begin,
                  std::string(what) + " when it is installed: " + line_at(tree_[at].begin),
                  {.condition = "setup.py"});
  }
}

void Evaluator::judge_shell_text(const std::string& text, Labels labels, NodeId at) {
  for (const shell::Sign& sign: shell::analyse_shell(text)) {
    std::optional<Severity> severity;
    if (sign.ordinary) severity = Severity::informational;
    if (sign.effect == shell::Effect::propagation && unit_.kind != UnitKind::weights)
      severity = Severity::informational;
    const R id = rule_of(sign.effect);
    if (id == R::beacon) severity = Severity::suspicious;
    report(id, at, nullptr, std::string(shell::words_of(sign.effect)), severity,
           rule(id).techniques);
  }
  shell_behaviours(text, at);
  (void)labels;
}

void Evaluator::judge_command(const Value& command, const Arguments& arguments, NodeId at,
                              std::string_view callee) {
  judge_install(at, "runs a command");
  // Standard streams that are a socket.
  for (const std::string_view stream: {"stdin", "stdout", "stderr"})
    if (const Value* value = arguments.find(stream);
        value != nullptr && (value->labels & k_socket) != 0)
      report(R::remote_control, at, value, "a program reads from or writes to a socket");
  std::string text;
  Labels whole = 0;
  if (command.kind == Kind::list) {
    const auto& words = lists_[command.ref];
    for (const Value& word: words) {
      if (!text.empty()) text += ' ';
      const std::string part = text_of(word);
      const bool quoted = part.find(' ') != std::string::npos;
      text += quoted ? "'" + part + "'" : part;
    }
    if (!words.empty()) whole = words.front().labels;
    // sh -c CODE, python -c CODE
    if (words.size() >= 3 && words[1].is_text() && (raw(words[1]) == "-c" || raw(words[1]) == "/c"))
      whole |= words[2].is_text() ? words[2].labels & (k_decoded | k_computed) : words[2].labels;
    if (words.size() >= 3 && words[1].is_text() && raw(words[1]) == "-c" && words[2].is_text()) {
      const std::string program = text_of(words[0]);
      if (program.find("python") != std::string::npos ||
          program.find("sys.executable") != std::string::npos)
        judge_code(words[2], at, callee);
      else
        judge_shell_text(raw(words[2]), 0, at);
    }
    // [sys.executable, dropped file]
  } else {
    text = text_of(command);
    // A text that is only partly from elsewhere is a command with an argument.
    if (!command.is_text()) whole = command.labels;
    if (command.is_text() && !command.partial) whole = command.labels & ~k_net;
  }
  // What is typed into a shell that is started here.
  if (const Value* input = arguments.find("input");
      input != nullptr && runs_file(text + " \x01", "\x01"))
    whole |= input->labels & (k_net | k_remote | k_decoded);
  else if (input != nullptr && (input->labels & (k_environ | k_sensitive)) != 0 &&
           (text.starts_with("curl ") || text.starts_with("wget ") || text.starts_with("nc ")))
    report(R::theft, at, input, "credentials are handed to a program that sends them");
  if (text.find("git push") != std::string::npos && text.find("\x1a__file__;") != std::string::npos)
    report(R::propagation, at, &command, "commits itself to repositories that it finds");
  if ((whole & k_remote) != 0)
    report(R::remote_control, at, &command, "what a socket receives is run as a command");
  else if ((whole & k_request) != 0)
    report(R::remote_control, at, &command, "what somebody asks for is run as a command",
           Severity::suspicious);
  else if ((whole & k_net) != 0)
    report(R::execution, at, &command, "a downloaded command is run");
  else if ((whole & k_decoded) != 0)
    report(R::execution, at, &command, "a command is decoded and run");
  else if ((whole & k_computed) != 0 && command.is_text())
    report(R::hidden_code, at, &command, "a command is put together from characters and run");
  if (const Labels dropped = dropped_in(text); dropped != 0) {
    // Checked against a digest; or a published tool that a function fetches when it is asked to.
    const bool milder = has(f_hash_check) || ((dropped & k_hub) != 0 && (uncalled_ || main_guard_));
    report(R::download_run, at, &command, "a file that was downloaded is run",
           milder ? std::optional(Severity::suspicious) : std::nullopt);
  }
  if (!text.empty()) judge_shell_text(text, whole, at);
  if (is_collecting_host(text))
    report(R::beacon, at, &command, "calls a host that only shows who calls");
  keep_command(at, text);
  // Who asks to know does not only show: the answer is read.
  const bool read = callee != "os.system" && !callee.ends_with("call") && !callee.ends_with("run");
  if (!read || shell::shows(text) != shell::Show::asks || unit_.kind == UnitKind::weights)
    judge_show(make_text(text, command.labels, command.kind == Kind::unknown), at, false);
  if (!command.is_constant() && command.kind == Kind::unknown) return;
  if (text.find(k_hole) == std::string::npos && !text.empty() && unit_.describe)
    session_.find(rule(R::command), offset_of(at), tree_[at].end - tree_[at].begin, text,
                  {.condition = unit_.condition});
}

void Evaluator::judge_program(const Value& path, NodeId at, std::string_view callee) {
  const bool code =
      callee == "runpy.run_path" || callee == "execfile" || callee == "imp.load_source";
  const std::string text = text_of(path);
  const bool downloaded = (path.labels & k_net) != 0 || dropped_in(text) != 0;
  judge_show(path, at, false);
  if (downloaded)
    report(R::download_run, at, &path,
           code ? "a downloaded file is run as code" : "a downloaded file is run");
}

// Whether `value` may be sent: by what it is made of.
void Evaluator::judge_sent(const Value& value, NodeId at, bool body) {
  const Labels labels = value.labels;
  if ((labels & k_sensitive) != 0)
    report(R::theft, at, &value, "the content of a file with credentials is sent");
  else if ((labels & k_environ) != 0)
    report(R::theft, at, &value,
           environ_picked_ ? "variables of the environment are sent, picked by their prefix"
                           : "the whole environment is sent",
           environ_picked_ ? std::optional(Severity::suspicious) : std::nullopt);
  else if ((labels & k_screen) != 0)
    report(R::theft, at, &value, "screen, camera or keys are recorded and sent");
  else if ((labels & k_credential) != 0 && body && unit_.kind == UnitKind::weights)
    report(R::theft, at, &value, "the hub's login is sent");
  else if ((labels & k_credential) != 0 && body)
    report(R::theft, at, &value, "the hub's login is sent", Severity::suspicious);
  if ((labels & k_output) != 0 && (labels & k_remote) != 0)
    report(R::remote_control, at, &value, "the output of a received command is sent back");
}

void Evaluator::judge_send(const Arguments& arguments, NodeId at, std::string_view callee) {
  note(f_net_out, tree_[at].begin);
  judge_install(at, "calls a host");
  if (packed_ != 0) {
    Value archive;
    archive.step = packed_;
    report(R::theft, at, &archive, "credentials are put into an archive and something is sent");
  }
  Labels bodies = 0;
  const Value* host = nullptr;
  const auto one = [&](const Value& value, bool body) {
    judge_sent(value, at, body);
    bodies |= value.labels;
    // gethostbyname(gethostname()): one's own address
    const bool own = callee.starts_with("socket.get") && !value.is_text();
    if ((value.labels & k_host) != 0 && host == nullptr && !own) host = &value;
  };
  for (std::size_t i = 0; i < arguments.positional.size(); ++i)
    one(arguments.positional[i], true);
  for (const auto& [name, value]: arguments.named) {
    // A login in a header is how one logs in.
    if (name == "headers" || name == "auth" || name == "cookies" || name == "proxies" ||
        name == "verify" || name == "cert" || name == "timeout")
      continue;
    one(value, true);
  }
  if (host != nullptr && (has(f_webhook) || has(f_oast) || has(f_paste) || has(f_public_ip) ||
                          unit_.kind == UnitKind::weights))
    report(R::reconnaissance, at, host, "facts about this machine are sent to a collecting host",
           Severity::malicious);
  // Who runs this on which machine and where: programs that keep a record of runs leave one out.
  if (host != nullptr && has(f_user) && has(f_host) &&
      (has(f_folder) || has(f_public_ip) || unit_.kind == UnitKind::weights))
    report(R::reconnaissance, at, host, "the names of the machine and of its user are sent");
  const Value url = arguments.get(0, "url");
  if (url.is_text() && (bodies & k_secret_env) != 0 && names_no_host(raw(url)))
    report(R::theft, at, &url, "a secret of the environment is sent to a bare address",
           Severity::suspicious);
  if (callee.starts_with("socket.gethost") && (url.labels & k_host) != 0 && url.partial &&
      raw(url).rfind('.') != std::string::npos && raw(url).rfind('.') > raw(url).rfind(';'))
    report(R::reconnaissance, at, &url, "facts about this machine are asked for as host names",
           Severity::malicious);
  judge_beacon(url, at);
  if (url.is_text() && is_url(raw(url))) {
    if ((url.labels & (k_host | k_environ)) != 0 && (url.labels & k_environ) == 0 &&
        unit_.kind == UnitKind::weights)
      report(R::reconnaissance, at, &url, "facts about this machine are sent away",
             Severity::malicious);
  }
  if (has(f_metadata) && url.is_text() &&
      (raw(url).find("security-credentials") != std::string::npos ||
       raw(url).find("service-accounts/default/token") != std::string::npos))
    report(R::theft, at, &url, "asks the cloud machine for its credentials",
           unit_.kind == UnitKind::weights ? Severity::malicious : Severity::suspicious);
}

void Evaluator::judge_write(const Value& path, const Value& data, NodeId at) {
  const std::string file = text_of(path);
  if ((data.labels & (k_net | k_decoded | k_hub | k_screen | k_sensitive | k_environ)) != 0 &&
      dropped_.size() < 256)
    dropped_.emplace_back(file, data.labels);
  if (is_raw_disk(file)) report(R::destruction, at, &data, "writes to a disk past its file system");
  if ((data.labels & k_own_source) != 0 && (path.labels & k_walk) != 0)
    report(R::propagation, at, &data, "writes itself into the files that a search finds");
  const bool content = data.kind != Kind::unknown || data.labels != 0;
  // open(transformers.__file__, "a"), open(inspect.getfile(transformers), "a")
  const std::string library = path.kind == Kind::name ? raw(path) : file;
  if (content && (library == "inspect.getfile()" || library.ends_with(".__file__") ||
                  library == "\x1ainspect.getfile();")) {
    report(R::persistence, at, &data, "writes into the code of a library that is installed",
           Severity::suspicious);
    if (data.is_text() && !data.partial) nested_unit(data, at);
  }
  if (data.is_text() && path.is_text()) judge_note(file, data, at);
  // What is written decides: programs that set themselves up write such files, too.
  if (content && path.is_text() && is_persistence_path(file)) {
    const bool foreign = unit_.kind == UnitKind::weights ||
                         (data.labels & (k_net | k_decoded)) != 0 ||
                         (data.is_text() && !shell::analyse_shell(raw(data)).empty());
    // Honest tools put their completions there.
    const bool ipython = file.find(".ipython/") != std::string::npos;
    const bool shell_file =
        !ipython && (file.ends_with("rc") || file.find(".git/hooks") != std::string::npos ||
                     file.ends_with(".fish") || file.find("profile") != std::string::npos);
    report(R::persistence, at, &data, "writes " + file.substr(0, 80),
           foreign      ? Severity::malicious
           : shell_file ? Severity::informational
                        : Severity::suspicious);
  }
  if ((data.labels & k_encrypted) != 0 && ((path.labels | data.labels) & k_walk) != 0)
    report(R::destruction, at, &data,
           "files that a search finds are overwritten with their encryption");
}

void Evaluator::judge_hub_write(const Arguments& arguments, NodeId at) {
  Labels labels = 0;
  const Value* worst = nullptr;
  const auto one = [&](const Value& value) {
    labels |= value.labels;
    if ((value.labels & (k_own_source | k_credential | k_hub | k_sensitive | k_environ)) != 0)
      worst = &value;
    if (value.kind == Kind::name && raw(value) == "__file__") labels |= k_own_source;
  };
  for (const Value& value: arguments.positional)
    one(value);
  for (const auto& [name, value]: arguments.named)
    one(value);
  if (unit_.kind == UnitKind::weights)
    report(R::propagation, at, worst, "writes to repositories on the hub when the model is loaded");
  else if ((labels & k_own_source) != 0)
    report(R::propagation, at, worst, "uploads itself");
  else if (const Value* token = arguments.find("token");
           token != nullptr && (token->labels & k_sensitive) != 0)
    report(R::propagation, at, token, "uploads with a login that it read from a file");
  else if ((labels & k_sensitive) != 0)
    report(R::theft, at, worst, "uploads the content of a file with credentials");
  else if ((labels & k_environ) != 0)
    report(R::theft, at, worst, "uploads the whole environment");
}

void Evaluator::judge_duplicate(const Arguments& arguments, NodeId at) {
  const Value from = arguments.get(0, "fd");
  const Value to = arguments.get(1, "fd2");
  const bool stream = to.kind != Kind::integer || (to.number >= 0 && to.number <= 2);
  if ((from.labels & k_socket) != 0 && stream)
    report(R::remote_control, at, &from, "a socket becomes the standard streams");
}

void Evaluator::judge_remove(const Value& path, NodeId at) {
  // what stands in for an empty path is not what is deleted
  if (!path.is_text() || path.origin != 0) return;
  const std::string& text = raw(path);
  if (text == "/root" || text == "/" || text == "~" || text == "~/" || text == "C:\\" ||
      text == "/home" || text == "/etc" || is_persons_folder(text)) {
    // Bytecode says `path or "/"` as a branch: far from its literal it may be such a default.
    constexpr unsigned k_near = 3;
    unsigned steps = 0;
    for (std::uint32_t i = path.step; i != 0 && steps <= k_near; i = steps_[i].parent)
      ++steps;
    std::optional<Severity> severity;
    if (!unit_.verbatim && steps > k_near) severity = Severity::suspicious;
    report(R::destruction, at, &path, "deletes everything below " + text, severity);
  }
}

} // namespace hubgate::python
