#include "scanner/code/python/evaluator.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace hubgate::python {
namespace {

constexpr Labels k_handed_on = ~(k_process | k_code | k_pieces);

} // namespace

Value Evaluator::import_call(const Arguments& arguments, NodeId at, std::string_view callee) {
  const Value name = arguments.get(0, "name");
  const bool whole = !callee.ends_with("__import__") || arguments.find("fromlist") != nullptr;
  if (name.is_text())
    if (const Value own = module_called(raw(name), whole); own.kind == Kind::module) return own;
  if (!name.is_text() || name.partial) return unknown(name.labels & k_handed_on, at, name.step);
  judge_import(raw(name), at);
  Value out = make_name(raw(name), name.labels & (k_decoded | k_computed | k_pieces), name.step);
  return out;
}

Value Evaluator::environment(const Arguments& arguments, NodeId at) {
  const Value key = arguments.get(0, "key");
  if (!key.is_text() || key.partial) return unknown(0, at);
  // What was put there before.
  if (const auto& names = scopes_[own_module_scope()].names; !names.empty())
    if (const auto set = names.find("os.environ[" + raw(key)); set != names.end())
      if (set->second.is_text() && (set->second.labels != 0 || raw(set->second).size() > 16))
        return set->second;
  const Labels labels = is_secret_variable(raw(key)) ? Labels{k_secret_env} : Labels{0};
  const std::string& word = raw(key);
  const bool home = word == "HOME" || word == "USERPROFILE";
  Value out = make_text(home ? "~" : "$" + word, labels, true);
  if (labels != 0) out.step = step(at, 0);
  return out;
}

Value Evaluator::open_file(const Arguments& arguments, NodeId at) {
  const Value path = arguments.get(0, "file");
  const Value mode = arguments.get(1, "mode");
  Value out{.kind = Kind::handle};
  pool_.push_back(text_of(path));
  out.ref = static_cast<std::uint32_t>(pool_.size() - 1);
  const bool writes = mode.is_text() && raw(mode).find_first_of("wax+") != std::string::npos;
  out.number = writes ? 1 : 0;
  out.labels = path.labels & (k_walk | k_hub | k_home | k_sensitive);
  out.step = path.step;
  if (writes) {
    if (raw(mode).find('+') != std::string::npos) out.labels |= k_file;
    judge_write(path, {}, at);
    return out;
  }
  out.labels |= k_file;
  if (path.kind == Kind::name && raw(path) == "__file__") out.labels |= k_own_source;
  if (path.is_text() && is_sensitive_path(raw(path))) {
    out.labels |= k_sensitive;
    out.step = step(at, path.step);
  }
  for (const auto& [file, labels]: dropped_)
    if (file == raw(out)) out.labels |= labels;
  return out;
}

Value Evaluator::call_known(const Callable& known, const std::string& path, const Value& callee,
                            const Arguments& arguments, NodeId at) {
  if (session_.showing()) show_call(path, arguments, at);
  const Value first = arguments.get(0);
  judge_hidden_name(callee, path, known.op, at);
  const auto sourced = [&](Labels labels, std::uint32_t parent) {
    return make_name(path + "()", labels, step(at, parent));
  };
  switch (known.op) {
  case Op::source: {
    Labels labels = known.labels | (first.labels & k_hub) | call_callbacks(arguments, at);
    if ((labels & k_host) != 0)
      note(path.ends_with("getuser") || path.ends_with("getlogin") ? f_user : f_host,
           tree_[at].begin);
    // A password that is none of ours.
    if ((labels & k_input) != 0 && first.is_text() && raw(first).find("sudo") != std::string::npos)
      labels |= k_sensitive;
    // retrbinary(…, parts.append): what comes goes there.
    for (const NodeId node: tree_.kids(at).subspan(1))
      if (tree_[node].kind == NodeKind::attribute) {
        const std::string_view name = tree_.slice(tree_.kid(node, 1));
        if (name == "append" || name == "write" || name == "extend" || name == "put")
          mark(tree_.kid(node, 0), evaluate(tree_.kid(node, 0)), known.labels, step(at, 0));
      }
    return sourced(labels, first.step);
  }
  case Op::pass: {
    Value out = first;
    if (path == "sorted" && sorted_constants(arguments, out)) return out;
    out.labels |= call_callbacks(arguments, at);
    out.labels |= known.labels;
    for (const Value& value: arguments.positional)
      out.labels |= value.labels & (k_net | k_decoded | k_environ | k_sensitive | k_host);
    for (const auto& [name, value]: arguments.named)
      out.labels |=
          value.labels & (k_net | k_decoded | k_environ | k_sensitive | k_host | k_screen);
    return out;
  }
  case Op::sanitize:
    if (path == "int" && first.is_constant() && first.is_text()) {
      const Value base = arguments.get(1, "base");
      errno = 0;
      char* end = nullptr;
      const long long n = std::strtoll(
          raw(first).c_str(), &end,
          base.kind == Kind::integer && base.number <= 36 ? static_cast<int>(base.number) : 10);
      if (end != raw(first).c_str()) return make_integer(n);
    }
    if (path == "int" && first.kind == Kind::integer) return first;
    if (path == "len" && first.is_constant() && first.is_text())
      return make_integer(std::count_if(raw(first).begin(), raw(first).end(), [&](char c) {
        return first.kind == Kind::bytes || (static_cast<unsigned char>(c) & 0xc0) != 0x80;
      }));
    if (path == "len" && first.kind == Kind::list)
      return make_integer(static_cast<std::int64_t>(lists_[first.ref].size()));
    // int(bits, 2): not a number but a way to read text out of something
    if (path == "int" && arguments.positional.size() > 1)
      return unknown(first.labels & (k_weights | k_decoded | k_computed | k_net), at, first.step);
    return unknown(0, at);
  case Op::run_code:
    note(f_run, tree_[at].begin);
    judge_code(arguments.get(known.detail, "stmt"), at, path);
    if (path.starts_with("timeit.")) judge_code(arguments.get(1, "setup"), at, path);
    return unknown(first.labels & k_handed_on, at, first.step);
  case Op::run_command: {
    note(f_run, tree_[at].begin);
    Value command = first;
    if (arguments.positional.empty()) command = arguments.get(0, "args");
    if (path == "asyncio.create_subprocess_exec" || path == "pexpect.spawn")
      command = make_list(arguments.positional, command.labels);
    judge_command(command, arguments, at, path);
    if (command.kind != Kind::list) return sourced(known.labels | told(text_of(command), at), 0);
    std::string words;
    for (const Value& word: lists_[command.ref])
      words += (words.empty() ? "" : " ") + text_of(word);
    return sourced(known.labels | told(words, at), 0);
  }
  case Op::run_program: {
    note(f_run, tree_[at].begin);
    const Value program = arguments.get(known.detail);
    if (path.starts_with("os.exec") || path.starts_with("os.spawn") ||
        path.starts_with("os.posix_spawn")) {
      // (program, argv…) or (program, [argv])
      std::vector<Value> words;
      for (std::size_t i = known.detail; i < arguments.positional.size(); ++i)
        words.push_back(arguments.positional[i]);
      if (words.size() >= 2 && words[1].kind == Kind::list) {
        words = lists_[words[1].ref];
        if (words.empty()) words.push_back(program);
      } else if (words.size() > 1) {
        words.erase(words.begin());
      }
      judge_command(make_list(std::move(words), program.labels), {}, at, path);
      judge_program(program, at, path);
    } else {
      judge_program(program, at, path);
    }
    // ctypes.CDLL(None).system(…)
    if (path.starts_with("ctypes.") || path.starts_with("importlib."))
      return sourced(program.labels & k_handed_on, program.step);
    return unknown(program.labels & k_handed_on, at, program.step);
  }
  case Op::decode:
    return decode(known, arguments, at);
  case Op::load_code: {
    judge_load(first, at, path);
    if ((first.labels & (k_net | k_hub | k_remote)) == k_net && !path.starts_with("marshal"))
      report(R::execution, at, &first, "what was downloaded is unpickled", Severity::suspicious);
    // Programs that cache bytecode load it from their own files.
    const bool own =
        first.is_text() || (first.labels & (k_decoded | k_net | k_computed | k_weights)) != 0;
    Labels labels = known.labels;
    if (!own && (labels & k_decoded) != 0) labels = k_unpacked | k_code;
    const std::uint32_t from = labels != 0 ? step(at, first.step) : first.step;
    if (path == "marshal.loads" && first.is_text() && !first.partial) {
      // Bytecode that is there to be read; it stays what it is for who puts it into another one.
      nested_bytecode(raw(first), at);
      Value out = first;
      out.labels |= labels | k_code;
      out.step = from;
      return out;
    }
    return unknown((first.labels & k_handed_on) | labels, at, from);
  }
  case Op::open:
    return open_file(arguments, at);
  case Op::import: {
    Value out = import_call(arguments, at, path);
    out.labels |= callee.labels & (k_decoded | k_computed | k_pieces);
    return out;
  }
  case Op::get: {
    note(f_net_in, tree_[at].begin);
    judge_send(arguments, at, path);
    return sourced(k_net | (first.labels & k_own_source), first.step);
  }
  case Op::send:
    judge_send(arguments, at, path);
    return unknown(0, at);
  case Op::fetch: {
    note(f_net_in, tree_[at].begin);
    judge_send({.positional = {first}}, at, path);
    Value target = arguments.get(known.detail, "filename");
    if (target.kind == Kind::unknown) target = arguments.get(known.detail, "out");
    const bool published = first.is_text() && is_published_url(raw(first));
    Value data = unknown(k_net | (published ? Labels{k_hub} : Labels{0}), at, step(at, 0));
    if (target.kind == Kind::unknown || target.kind == Kind::none) {
      // Returns (name, headers), or the name.
      Value out = unknown(k_net, at, data.step);
      dropped_.emplace_back(text_of(out), k_net);
      return out;
    }
    judge_write(target, data, at);
    target.labels |= k_net;
    target.step = data.step;
    return target;
  }
  case Op::copy: {
    const Value target = arguments.get(1, "dst");
    Value data = unknown(k_file | (first.labels & k_handed_on), at, first.step);
    const std::string from = text_of(first);
    for (const auto& [file, labels]: dropped_)
      if (file == from) data.labels |= labels;
    judge_write(target, data, at);
    return target;
  }
  case Op::pipe: {
    const Value target = arguments.get(1, "fdst");
    if (target.kind == Kind::handle) {
      Value file = make_text(raw(target), target.labels, false);
      judge_write(file, first, at);
    }
    return unknown(0, at);
  }
  case Op::remove:
    judge_remove(first, at);
    return unknown(0, at);
  case Op::duplicate:
    judge_duplicate(arguments, at);
    return unknown(first.labels, at, first.step);
  case Op::hub_write:
    judge_hub_write(arguments, at);
    return unknown(0, at);
  case Op::crypt: {
    Labels labels = 0;
    for (const Value& value: arguments.positional)
      labels |= value.labels & k_handed_on;
    if ((labels & (k_file | k_walk)) != 0) labels |= k_encrypted;
    const Value out = unknown(labels, at, step(at, first.step));
    if (path == "pyAesCrypt.encryptFile" && (first.labels & k_walk) != 0)
      report(R::destruction, at, &first, "encrypts the files that it finds");
    return out;
  }
  case Op::walk:
    return sourced(known.labels | (first.labels & k_handed_on) | walked(first), first.step);
  case Op::defer:
    return call_deferred(arguments, known.detail, at);
  case Op::chr:
    if (first.kind == Kind::integer && first.number >= 0 && first.number < 0x110000) {
      std::string text;
      const auto c = static_cast<std::uint32_t>(first.number);
      if (c < 0x80) {
        text += static_cast<char>(c);
      } else if (c < 0x800) {
        text += static_cast<char>(0xc0 | (c >> 6));
        text += static_cast<char>(0x80 | (c & 0x3f));
      } else {
        text = "?";
      }
      return make_text(std::move(text), first.labels | k_computed, false);
    }
    return unknown((first.labels & k_handed_on) | k_computed, at, first.step);
  case Op::ord:
    if (first.is_text() && !first.partial && raw(first).size() == 1) {
      Value out = make_integer(static_cast<unsigned char>(raw(first)[0]));
      out.labels = first.labels;
      return out;
    }
    return unknown(first.labels & k_handed_on, at, first.step);
  case Op::text: {
    std::string bytes;
    if (first.kind == Kind::list && path != "str" && list_bytes(first, bytes))
      return make_text(std::move(bytes), first.labels | k_computed, false, Kind::bytes);
    if (first.is_text()) {
      Value out = first;
      out.kind = path == "str" ? Kind::text : Kind::bytes;
      return out;
    }
    if (first.kind == Kind::integer && path == "str")
      return make_text(std::to_string(first.number), first.labels, false);
    Value out = first;
    if (first.kind == Kind::name) out = unknown(first.labels & k_handed_on, at, first.step);
    return out;
  }
  case Op::reversed: {
    if (first.is_text() && charge(raw(first).size())) {
      std::string text = raw(first);
      std::reverse(text.begin(), text.end());
      return make_text(std::move(text), first.labels | k_computed, first.partial, first.kind);
    }
    if (first.kind == Kind::list) {
      std::vector<Value> list = lists_[first.ref];
      std::reverse(list.begin(), list.end());
      return make_list(std::move(list), first.labels);
    }
    return first;
  }
  case Op::map: {
    const Value iterable = arguments.get(1);
    std::vector<Value> list;
    std::vector<Value> out;
    if (path == "functools.reduce" && reads_as_list(iterable, list) && list.size() <= 4096 &&
        !list.empty()) {
      Value sum = arguments.positional.size() > 2 ? arguments.get(2) : list.front();
      for (std::size_t i = arguments.positional.size() > 2 ? 0 : 1; i < list.size(); ++i) {
        Arguments two;
        two.positional = {sum, list[i]};
        sum = apply(first, two, at);
        if (over_budget_) break;
      }
      return sum;
    }
    if (!reads_as_list(iterable, list) || list.size() > 4096)
      list.assign(1, element_of(iterable, at));
    Labels labels = iterable.labels & k_handed_on;
    for (const Value& item: list) {
      Arguments one;
      one.positional.push_back(item);
      out.push_back(apply(first, one, at));
      labels |= out.back().labels & k_handed_on;
      if (over_budget_) break;
    }
    if (path == "filter") return unknown(labels, at, iterable.step);
    Value result = make_list(std::move(out), labels);
    result.step = iterable.step;
    return result;
  }
  case Op::stored: {
    std::vector<Value> kept{make_name(path + "()")};
    kept.insert(kept.end(), arguments.positional.begin(), arguments.positional.end());
    Value out = make_list(std::move(kept), 0);
    out.kind = Kind::partial;
    return out;
  }
  case Op::partial: {
    Value out = make_list(arguments.positional, 0);
    if (arguments.positional.empty()) return unknown(0, at);
    out.kind = Kind::partial;
    return out;
  }
  case Op::getattr: {
    const Value key = arguments.get(1);
    if ((!key.is_text() || key.partial) && (key.labels & k_computed) != 0 &&
        first.kind == Kind::name && first.labels == 0 && key.kind == Kind::unknown)
      return make_name(raw(first) + ".?", key.labels & k_computed, key.step);
    if (!key.is_text() || key.partial)
      return unknown((first.labels | key.labels) & k_handed_on, at, key.step);
    Value out = attribute(first, raw(key), at);
    out.labels |= key.labels & (k_decoded | k_computed | k_pieces);
    if (out.step == 0) out.step = key.step;
    return out;
  }
  case Op::environ_get:
    return environment(arguments, at);
  case Op::join_path: {
    std::string text;
    Labels labels = 0;
    bool partial = false;
    std::uint32_t from = 0;
    for (const Value& value: arguments.positional) {
      if (!text.empty() && !text.ends_with('/')) text += '/';
      if (value.is_text() && raw(value).starts_with('/')) text.clear();
      text += text_of(value);
      labels |= value.labels & k_handed_on;
      if (from == 0) from = value.step;
      partial = partial || !value.is_constant();
    }
    Value out = make_text(std::move(text), labels, partial);
    out.step = from;
    return out;
  }
  case Op::registry: {
    std::string words;
    for (const Value& value: arguments.positional)
      words += text_of(value) + " ";
    if (words.find("CurrentVersion\\Run") != std::string::npos || has(f_run_key))
      report(R::persistence, at, nullptr, "writes the registry's list of programs to start");
    return unknown(0, at);
  }
  case Op::tunnel:
    return sourced(known.labels, 0);
  case Op::code:
    return code_object(arguments, at);
  default:
    return call_other(known, path, arguments, at);
  }
  return unknown(0, at);
}

} // namespace hubgate::python
