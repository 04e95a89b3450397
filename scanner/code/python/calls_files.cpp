// Calls about files, attributes and what is shown: the rest of the table of callables.
#include "scanner/code/python/evaluator.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr Labels k_handed_on = ~(k_process | k_code | k_pieces);
constexpr Labels k_hidden = k_decoded | k_computed | k_pieces;

} // namespace

// What a search below `root` carries: of a folder with credentials, of a home directory, of
// everything.
Labels Evaluator::walked(const Value& root) {
  if (!root.is_text()) return 0;
  std::string path = raw(root);
  Labels out =
      is_sensitive_path(path) || is_sensitive_folder(path) ? Labels{k_sensitive} : Labels{0};
  const std::size_t star = path.find('*');
  if (star != std::string::npos) path.resize(star);
  while (path.size() > 1 && (path.ends_with('/') || path.ends_with('\\')))
    path.pop_back();
  if (path == "~" || path == "/" || path == "/home" || path == "C:" || path == "/Users" ||
      path == "/root" || path == "$USERPROFILE" || path == "C:/Users" || path == "C:\\Users")
    out |= k_home;
  return out;
}

Value Evaluator::call_other(const Callable& known, const std::string& path,
                            const Arguments& arguments, NodeId at) {
  const Value first = arguments.get(0);
  switch (known.op) {
  case Op::setattr: {
    const Value key = arguments.get(1);
    if (!key.is_text() || key.partial) return unknown(0, at);
    std::string_view spelled;
    if (first.kind != Kind::instance && first.kind != Kind::klass) {
      pool_.push_back(std::string(tree_.slice(tree_.kid(at, 1))) + "." + raw(key));
      spelled = pool_.back();
    }
    set_attribute(first, raw(key), arguments.get(2), spelled, at);
    return {.kind = Kind::none};
  }
  case Op::element: {
    const Labels more = call_callbacks(arguments, at);
    Value out = arguments.positional.size() > 1 ? choice(arguments.positional, 1, at)
                                                : element_of(first, at);
    out.labels |= more | (first.labels & k_handed_on);
    return out;
  }
  case Op::item:
    return item(first, arguments.get(1), at);
  case Op::method_called: {
    // (name, arguments…, object)
    if (arguments.positional.size() < 2 || !first.is_text()) break;
    Value callee = attribute(arguments.positional.back(), raw(first), at);
    callee.labels |= first.labels & k_hidden;
    Arguments inner;
    inner.positional.assign(arguments.positional.begin() + 1, arguments.positional.end() - 1);
    return apply(callee, inner, at);
  }
  case Op::attribute_of:
  case Op::item_of: {
    if (arguments.positional.size() < 2) break;
    const Value object = arguments.positional.back();
    if (known.op == Op::item_of) return item(object, first, at);
    if (!first.is_text()) break;
    Value out = attribute(object, raw(first), at);
    out.labels |= first.labels & k_hidden;
    return out;
  }
  case Op::temporary: {
    Value out{.kind = Kind::handle};
    pool_.push_back(k_hole + path + std::to_string(at) + ";");
    out.ref = static_cast<std::uint32_t>(pool_.size() - 1);
    out.number = 1;
    return path == "tempfile.mkstemp" ? make_list({out, out}, 0) : out;
  }
  case Op::dump:
  case Op::write_fd:
  case Op::print: {
    const Value handle = known.op == Op::dump    ? arguments.get(1, "fp")
                         : known.op == Op::print ? arguments.get(~std::size_t{0}, "file")
                                                 : first;
    const Value data = known.op == Op::write_fd ? arguments.get(1) : first;
    if ((handle.labels & k_socket) != 0) judge_send(arguments, at, path);
    if (handle.kind != Kind::handle) return unknown(0, at);
    judge_write(make_text(raw(handle), handle.labels, false), data, at);
    return unknown(0, at);
  }
  case Op::own_code: {
    const bool own = first.kind == Kind::name && (raw(first).starts_with("sys.modules") ||
                                                  raw(first).starts_with("inspect.currentframe"));
    return unknown(own ? Labels{k_own_source} : Labels{0}, at, step(at, 0));
  }
  case Op::constant_home:
    return make_text("~", 0, false);
  case Op::delete_file:
    if ((first.labels & k_home) != 0)
      report(R::destruction, at, &first, "deletes what a search through everything finds");
    return unknown(0, at);
  case Op::fork:
    if (loops_ > 0 && here_ == tree_[at].begin && (calls_ == 0 || unit_.kind == UnitKind::weights))
      report(R::destruction, at, nullptr, "starts itself again and again", Severity::suspicious);
    return unknown(0, at);
  case Op::browse:
    judge_beacon(first, at);
    judge_show(first, at, true);
    return unknown(0, at);
  case Op::pack: {
    const Value what = arguments.get(known.detail, "root_dir");
    if ((walked(what) & k_sensitive) != 0 || (what.labels & k_sensitive) != 0)
      packed_ = step(at, what.step);
    return unknown((walked(what) | what.labels) & (k_sensitive | k_own_source), at, packed_);
  }
  default:
    break;
  }
  return unknown(0, at);
}

} // namespace hubgate::python
