#include "scanner/code/python/evaluator.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace hubgate::python {
namespace {

constexpr Labels k_handed_on = ~(k_process | k_code | k_pieces);

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_word(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

} // namespace

// Methods of values that are known, and of those whose origin says what they are.
bool Evaluator::method(const Value& object, std::string_view name, NodeId object_node,
                       const Arguments& arguments, NodeId at, Value& result) {
  switch (object.kind) {
  case Kind::text:
  case Kind::bytes:
    return text_method(object, name, arguments, at, result);
  case Kind::list:
  case Kind::dict:
    return container_method(object, name, object_node, arguments, at, result);
  case Kind::handle:
    return handle_method(object, name, arguments, at, result);
  case Kind::name:
  case Kind::unknown:
    if (object.kind == Kind::name) {
      const std::string path = canonical(raw(object) + "." + std::string(name));
      if (find_callable(path) != nullptr) return false;
      const Value key = arguments.get(0);
      if (one_of(name, {"get", "__getitem__", "pop", "setdefault"}) &&
          named_item(object, key, at, result))
        return true;
    }
    if (one_of(name, {"__getattribute__", "__getattr__"}) && arguments.get(0).is_text()) {
      result = attribute(object, raw(arguments.get(0)), at);
      result.labels |= arguments.get(0).labels & (k_decoded | k_computed | k_pieces);
      return true;
    }
    if (name == "to_bytes" && object.kind == Kind::unknown && object.number == k_long_number) {
      std::string bytes = raw(object);
      const Value order = arguments.get(1, "byteorder");
      if (order.is_text() && raw(order) == "little") std::reverse(bytes.begin(), bytes.end());
      result = make_text(std::move(bytes), (object.labels & k_handed_on) | k_computed, false,
                         Kind::bytes);
      result.step = step(at, object.step);
      return true;
    }
    if (labelled_method(object, name, arguments, at, result)) return true;
    // What is put into an unknown container stays in it.
    return (object.kind == Kind::unknown ||
            one_of(name, {"put", "put_nowait", "append", "appendleft", "add", "push"})) &&
           container_method(object, name, object_node, arguments, at, result);
  case Kind::integer:
    if (name != "to_bytes") return false;
    result = unknown(object.labels | k_computed, at, step(at, object.step));
    return true;
  case Kind::instance:
    // self.submit() of a class of the unit is its own
    return class_attribute(object.ref, name).kind == Kind::unknown &&
           labelled_method(object, name, arguments, at, result);
  default:
    return false;
  }
}

// pathlib: paths that a search gave.
bool Evaluator::path_method(const Value& object, std::string_view name, const Arguments& arguments,
                            NodeId at, Value& result) {
  const Value first = arguments.get(0);
  const Labels where = object.labels & (k_walk | k_home | k_sensitive | k_hub);
  if (one_of(name, {"read_text", "read_bytes"})) {
    result = unknown(where | k_file, at, step(at, object.step));
  } else if (name == "open") {
    Arguments open;
    open.positional.push_back(object);
    if (!arguments.positional.empty()) open.positional.push_back(first);
    result = open_file(open, at);
  } else if (one_of(name, {"write_text", "write_bytes"})) {
    judge_write(object, first, at);
    result = unknown(0, at);
  } else if (name == "unlink") {
    if ((object.labels & k_home) != 0)
      report(R::destruction, at, &object, "deletes what a search through everything finds");
    result = unknown(0, at);
  } else if (one_of(name, {"rglob", "glob", "iterdir", "joinpath"})) {
    result = unknown(where, at, object.step);
  } else {
    return false;
  }
  return true;
}

bool Evaluator::labelled_method(const Value& object, std::string_view name,
                                const Arguments& arguments, NodeId at, Value& result) {
  if ((object.labels & k_socket) != 0) {
    if (one_of(name, {"recv", "recvfrom", "recv_into", "read", "readline", "readlines",
                      "read_until", "read_some", "read_all", "read_eager", "read_very_eager",
                      "recv_string", "recv_json", "recv_bytes", "recv_multipart"})) {
      note(f_net_in, tree_[at].begin);
      result = unknown(k_net | k_remote, at, step(at, object.step));
      return true;
    }
    if (one_of(name, {"send", "sendall", "sendto", "write"})) {
      judge_send(arguments, at, "socket.send");
      result = unknown(0, at);
      return true;
    }
    if (one_of(name, {"fileno", "makefile", "accept", "detach", "dup"})) {
      result = unknown(object.labels, at, object.step);
      if (name == "accept")
        result = make_list({unknown(k_socket, at, object.step), unknown(0, at)}, k_socket);
      return true;
    }
  }
  // grab().save(buffer): the picture is in there now
  if ((object.labels & k_screen) != 0 && one_of(name, {"save", "tofile"}) &&
      !arguments.positional.empty()) {
    mark(tree_.kid(at, 1), arguments.get(0), k_screen, object.step);
    if (arguments.get(0).is_text()) judge_write(arguments.get(0), object, at);
    result = unknown(0, at);
    return true;
  }
  if ((object.labels & k_walk) != 0 && path_method(object, name, arguments, at, result))
    return true;
  if ((object.labels & k_socket) != 0 && one_of(name, {"connect", "connect_ex"})) {
    for (const Value& value: arguments.positional)
      judge_beacon(value, at);
    result = unknown(0, at);
    return true;
  }
  // An archive out of the network that is unpacked.
  if (one_of(name, {"extractall", "extract", "unpack_archive"}) && (object.labels & k_net) != 0) {
    const Value target = arguments.get(name == "extract" ? 1 : 0, "path");
    judge_write(target, unknown(k_net, at, object.step), at);
    result = unknown(k_net, at, object.step);
    return true;
  }
  if (name == "to_bytes") {
    result = unknown(object.labels | k_computed, at, object.step);
    return true;
  }
  if ((object.labels & k_process) != 0 && one_of(name, {"write", "communicate", "send_signal"})) {
    const Value data = arguments.get(0, "input");
    if ((data.labels & k_remote) != 0)
      report(R::remote_control, at, &data, "what a socket receives goes to the running process");
    result = unknown(k_output, at, step(at, object.step));
    return true;
  }
  if ((object.labels & k_process) != 0 && one_of(name, {"read", "readline", "read1"})) {
    result = unknown(k_output, at, step(at, object.step));
    return true;
  }
  // Library classes know their own names: model.push_to_hub() of whatever class.
  if (name == "push_to_hub") {
    judge_hub_write(arguments, at);
    result = unknown(0, at);
    return true;
  }
  if (one_of(name,
             {"download", "download_and_extract", "download_custom", "extract", "iter_archive"}) &&
      object.kind == Kind::unknown) {
    result = unknown(k_hub, at, object.step);
    return true;
  }
  if (one_of(name, {"submit", "apply_async", "run_in_executor", "call_soon", "call_later"}) &&
      !arguments.positional.empty()) {
    const std::size_t position = one_of(name, {"run_in_executor", "call_later"}) ? 1 : 0;
    const Value callee = arguments.get(position);
    if (callee.kind == Kind::function || callee.kind == Kind::method || callee.kind == Kind::name) {
      result = call_deferred(arguments, position, at);
      return true;
    }
  }
  // DataFrame.query("@__import__(…)…"): pandas runs what stands behind the @
  if (one_of(name, {"query", "eval"}) && arguments.get(0).is_text() &&
      raw(arguments.get(0)).find("@__") != std::string::npos)
    judge_code(arguments.get(0), at, "pandas.eval");
  if (name == "fromhex" && object.kind == Kind::name) return false;
  return false;
}

bool Evaluator::text_method(const Value& object, std::string_view name, const Arguments& arguments,
                            NodeId at, Value& result) {
  const std::string& text = raw(object);
  const Value first = arguments.get(0);
  const Labels labels = (object.labels | first.labels) & k_handed_on;
  const auto give = [&](std::string out, Labels more = 0, bool partial = false) {
    if (!charge(out.size())) {
      result = unknown(labels | more, at, object.step);
      return true;
    }
    result = make_text(std::move(out), labels | more, object.partial || partial, object.kind);
    result.step = object.step != 0 ? object.step : first.step;
    return true;
  };
  if (name == "join") {
    std::vector<Value> list;
    if (!reads_as_list(first, list)) {
      result = unknown(labels, at, first.step);
      return true;
    }
    std::string out;
    bool partial = false;
    Labels inner = first.labels & k_handed_on;
    std::size_t tiny = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) out += text;
      const std::string part = text_of(list[i]);
      tiny += part.size() == 1 ? 1 : 0;
      out += part;
      partial = partial || !list[i].is_constant();
      inner |= list[i].labels & k_handed_on;
      if (out.size() > (std::size_t{8} << 20)) break;
    }
    const bool spelled = text.empty() && list.size() >= 4 && tiny == list.size();
    const bool pieces = text.empty() && list.size() >= 2 && out.size() < 24 && !partial;
    return give(std::move(out),
                inner | (spelled  ? Labels{k_computed}
                         : pieces ? Labels{k_pieces}
                                  : Labels{0}),
                partial);
  }
  if (name == "format") {
    result = format_text(text, arguments, labels);
    if (result.is_constant() && arguments.positional.size() > 1 && raw(result).size() < 24)
      result.labels |= k_pieces;
    return true;
  }
  if (name == "replace" && first.is_text() && arguments.get(1).is_text()) {
    const std::string& from = raw(first);
    const std::string& to = raw(arguments.get(1));
    if (from.empty() || text.size() > (std::size_t{1} << 22)) return give(text);
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t hit = text.find(from, i);
      if (hit == std::string::npos || out.size() > (std::size_t{8} << 20)) {
        out += text.substr(i);
        break;
      }
      out += text.substr(i, hit - i) + to;
      i = hit + from.size();
    }
    const bool changed = out != text;
    return give(std::move(out), changed ? k_pieces : Labels{0});
  }
  if (name == "lower" || name == "upper" || name == "swapcase" || name == "casefold") {
    std::string out = text;
    for (char& c: out) {
      const bool upper = c >= 'A' && c <= 'Z';
      const bool lower = c >= 'a' && c <= 'z';
      if ((upper && name != "upper") || (lower && (name == "upper" || name == "swapcase")))
        c = static_cast<char>(c ^ 0x20);
    }
    return give(std::move(out));
  }
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    const std::string set =
        first.is_text() && !arguments.positional.empty() ? raw(first) : " \t\r\n\f\v";
    std::size_t from = 0;
    std::size_t upto = text.size();
    if (name != "rstrip")
      while (from < upto && set.find(text[from]) != std::string::npos)
        ++from;
    if (name != "lstrip")
      while (upto > from && set.find(text[upto - 1]) != std::string::npos)
        --upto;
    return give(text.substr(from, upto - from));
  }
  if (name == "encode" || name == "decode") {
    const Value encoding = arguments.get(0, "encoding");
    const std::string codec = encoding.is_text() ? raw(encoding) : "utf-8";
    if (codec.find("utf") == std::string::npos && codec.find("ascii") == std::string::npos &&
        codec.find("latin") == std::string::npos && codec.find("8859") == std::string::npos &&
        codec.find("cp") == std::string::npos) {
      Arguments both;
      both.positional = {object, encoding};
      result = decode(*find_callable("codecs.decode"), both, at);
      return true;
    }
    result = object;
    if (name == "encode" && codec.find("utf") == std::string::npos && charge(text.size()))
      result.ref = make_text(narrowed(text), 0, false).ref;
    result.labels &= ~k_pieces;
    result.kind = name == "encode" ? Kind::bytes : Kind::text;
    return true;
  }
  if (name == "split" || name == "rsplit" || name == "splitlines") {
    std::vector<Value> parts;
    const std::string by = first.is_text() ? raw(first) : name == "splitlines" ? "\n" : " ";
    if (!object.partial && !by.empty() && text.size() < (std::size_t{1} << 20)) {
      for (std::size_t i = 0; i <= text.size() && parts.size() < k_max_items;) {
        const std::size_t hit = std::min(text.find(by, i), text.size());
        if (!charge(hit - i + 64)) break;
        parts.push_back(make_text(text.substr(i, hit - i), labels, false, object.kind));
        i = hit + by.size();
      }
      result = make_list(std::move(parts), labels);
      return true;
    }
    result = unknown(labels, at, object.step);
    return true;
  }
  if (name == "translate" && first.kind == Kind::dict && !object.partial &&
      object.kind == Kind::text && text.size() < (std::size_t{1} << 16)) {
    const auto& pairs = lists_[first.ref];
    std::map<std::int64_t, const Value*> table;
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
      if (pairs[i].kind == Kind::integer) table[pairs[i].number] = &pairs[i + 1];
    std::string out;
    for (const char c: text) {
      const auto hit = table.find(static_cast<unsigned char>(c));
      if (hit == table.end())
        out += c;
      else if (hit->second->kind == Kind::integer)
        out += static_cast<char>(hit->second->number);
      else if (hit->second->is_text())
        out += raw(*hit->second);
    }
    return give(std::move(out), k_computed);
  }
  if (name == "maketrans" && first.is_text() && arguments.get(1).is_text()) {
    const std::string& from = raw(first);
    const std::string& to = raw(arguments.get(1));
    std::vector<Value> pairs;
    for (std::size_t i = 0; i < std::min({from.size(), to.size(), std::size_t{256}}); ++i) {
      pairs.push_back(make_integer(static_cast<unsigned char>(from[i])));
      pairs.push_back(make_integer(static_cast<unsigned char>(to[i])));
    }
    result = make_list(std::move(pairs), 0);
    if (result.kind == Kind::list) result.kind = Kind::dict;
    return true;
  }
  if (name == "translate" || name == "hex") {
    result = unknown(labels | k_computed, at, object.step);
    return true;
  }
  if (name == "with_suffix" && first.is_text()) {
    const std::size_t slash = text.rfind('/') + 1; // 0 when there is none
    const std::size_t dot = text.rfind('.');
    const bool has =
        dot != std::string::npos && dot > slash && text.find(';', dot) == std::string::npos;
    return give((has ? text.substr(0, dot) : text) + raw(first), 0, first.partial);
  }
  if (name == "substitute" || name == "safe_substitute") {
    // string.Template
    std::string out;
    bool partial = false;
    Labels inner = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '$' || i + 1 >= text.size()) {
        out += text[i];
        continue;
      }
      const bool braced = text[i + 1] == '{';
      std::size_t end = i + (braced ? 2 : 1);
      const std::size_t begin = end;
      while (end < text.size() && is_word(text[end]))
        ++end;
      const std::string_view field = std::string_view(text).substr(begin, end - begin);
      Value value = arguments.get(~std::size_t{0}, field);
      if (first.kind == Kind::dict && value.kind == Kind::unknown)
        value = item(first, make_text(std::string(field), 0, false), at);
      partial = partial || !value.is_constant();
      inner |= value.labels & k_handed_on;
      out += field.empty() ? "$" : text_of(value);
      i = end - (braced && end < text.size() ? 0 : 1);
    }
    return give(std::move(out), inner | k_pieces, partial);
  }
  if (name == "group" && object.kind == Kind::text) return result = object, true; // of a match
  if (name == "joinpath") return give(text + "/" + text_of(first), 0, !first.is_constant());
  if (one_of(name, {"expanduser", "resolve", "absolute", "as_posix", "read", "getvalue", "tobytes",
                    "getbuffer"}))
    return result = object, true;
  // pathlib
  if (one_of(name, {"read_text", "read_bytes", "open"})) {
    Arguments open;
    open.positional.push_back(object);
    if (name == "open" && !arguments.positional.empty()) open.positional.push_back(first);
    result = open_file(open, at);
    if (name != "open") result = unknown(result.labels, at, result.step);
    return true;
  }
  if (one_of(name, {"write_text", "write_bytes"})) {
    judge_write(object, first, at);
    result = unknown(0, at);
    return true;
  }
  if (one_of(name, {"rglob", "glob", "iterdir"})) {
    result = unknown(k_walk | walked(object), at, step(at, 0));
    return true;
  }
  if (one_of(name, {"rename", "replace"})) {
    judge_write(first, object, at);
    result = unknown(0, at);
    return true;
  }
  result = unknown(labels, at, object.step);
  return true;
}

bool Evaluator::container_method(const Value& object, std::string_view name, NodeId object_node,
                                 const Arguments& arguments, NodeId at, Value& result) {
  if (one_of(name, {"append", "appendleft", "add", "extend", "insert", "update", "setdefault",
                    "put", "put_nowait", "push", "write"})) {
    Labels labels = 0;
    std::uint32_t from = 0;
    for (const Value& value: arguments.positional) {
      labels |= value.labels & k_handed_on;
      if (from == 0) from = value.step;
    }
    if (object.kind == Kind::list && lists_[object.ref].size() < k_max_items &&
        !arguments.positional.empty()) {
      auto& list = lists_[object.ref];
      const Value& value = arguments.positional.back();
      if (name == "insert")
        list.insert(list.begin(), value);
      else if (name == "extend" && value.kind == Kind::list && value.ref != object.ref)
        list.insert(list.end(), lists_[value.ref].begin(), lists_[value.ref].end());
      else
        list.push_back(value);
    }
    mark(object_node, object, labels, from);
    result = unknown(object.labels & k_handed_on, at, object.step);
    return (object.kind != Kind::unknown && object.kind != Kind::name) || labels != 0;
  }
  if (object.kind == Kind::dict) {
    if (name == "items" || name == "values") {
      std::vector<Value> list;
      const std::vector<Value> pairs = lists_[object.ref];
      for (std::size_t i = 0; i + 1 < pairs.size() && charge(2 * sizeof(Value)); i += 2)
        list.push_back(name == "values" ? pairs[i + 1] : make_list({pairs[i], pairs[i + 1]}, 0));
      result = make_list(std::move(list), object.labels & k_handed_on);
      return true;
    }
    if (name == "get") {
      const Value key = arguments.get(0);
      const auto& pairs = lists_[object.ref];
      ticks_ += pairs.size() / 32;
      if (key.is_constant())
        for (std::size_t i = pairs.size(); i >= 2; i -= 2)
          if (pairs[i - 2].is_constant() && text_of(pairs[i - 2]) == text_of(key)) {
            result = pairs[i - 1];
            return true;
          }
      if (!key.is_constant() && pairs.size() <= 128) {
        std::vector<Value> values;
        for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
          values.push_back(pairs[i + 1]);
        values.push_back(arguments.get(1, "default"));
        result = choice(values, 1, at);
        return true;
      }
    }
    result = unknown(object.labels & k_handed_on, at, object.step);
    return true;
  }
  if (object.kind == Kind::list) {
    // generator.send(value): what its "yield" gives
    if (one_of(name, {"send", "asend"}) && object.number > 0) {
      const Value outer = std::exchange(sent_, arguments.get(0));
      if (sent_.labels != 0 || sent_.is_text()) {
        Arguments open;
        open.open = true;
        result = invoke(static_cast<std::uint32_t>(object.number - 1), nullptr, open);
      }
      sent_ = outer;
      return true;
    }
    if (name == "pop" && !lists_[object.ref].empty()) {
      result = lists_[object.ref].back();
      return true;
    }
    if (name == "reverse" && charge(lists_[object.ref].size() * 8)) {
      auto& list = lists_[object.ref];
      std::reverse(list.begin(), list.end());
      result = {.kind = Kind::none};
      return true;
    }
    result = unknown(object.labels & k_handed_on, at, object.step);
    return true;
  }
  return false;
}

bool Evaluator::handle_method(const Value& object, std::string_view name,
                              const Arguments& arguments, NodeId at, Value& result) {
  const Value first = arguments.get(0);
  if (one_of(name, {"write", "writelines"})) {
    const Value path = make_text(raw(object), object.labels, false);
    judge_write(path, first, at);
    result = unknown(0, at);
    return true;
  }
  if (one_of(name, {"read", "readlines", "readline", "readall", "read1"})) {
    result = unknown(object.labels & k_handed_on, at, object.step);
    return true;
  }
  result = unknown(object.labels & k_handed_on, at, object.step);
  return true;
}

} // namespace hubgate::python
