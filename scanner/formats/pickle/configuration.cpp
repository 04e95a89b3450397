// Configurations that are pickled: the hyper_parameters of Lightning's checkpoints, OmegaConf's
// nodes, argument namespaces. Whoever resumes from such a checkpoint hands them to Hydra, so what
// `_target_` names there is called. They are written as JSON and judged like any configuration.
#include "scanner/core/json_text.hpp"
#include "scanner/formats/pickle/machine.hpp"

namespace hubgate::pickle {
namespace {

constexpr unsigned k_max_depth = 24;
constexpr std::size_t k_max_nodes = 20'000;
constexpr std::size_t k_max_text = 1024; ///< bytes of one value
constexpr std::size_t k_max_json = std::size_t{1} << 20;

class JsonText {
public:
  void value(const View& view, unsigned depth);
  bool fits() const { return nodes_ < k_max_nodes && out_.size() < k_max_json; }
  const std::string& text() const { return out_; }

private:
  void quoted(std::string_view text) { append_json_text(out_, text); }
  void list(const View& view, unsigned depth);
  void pairs(const View& view, unsigned depth);
  void object(const View& view, unsigned depth);

  std::string out_;
  std::size_t nodes_ = 0;
};

void JsonText::list(const View& view, unsigned depth) {
  out_ += '[';
  for (std::size_t i = 0; i < view.kept() && fits(); ++i) {
    if (i > 0) out_ += ',';
    value(view.item(i), depth + 1);
  }
  out_ += ']';
}

void JsonText::pairs(const View& view, unsigned depth) {
  out_ += '{';
  for (std::size_t i = 0; i + 1 < view.kept() && fits(); i += 2) {
    if (i > 0) out_ += ',';
    quoted(view.item(i).text(k_max_text).value_or("?"));
    out_ += ':';
    value(view.item(i + 1), depth + 1);
  }
  out_ += '}';
}

// A node of OmegaConf is its content, a namespace its attributes, a subclass of dict its items.
void JsonText::object(const View& view, unsigned depth) {
  const View state = view.state();
  for (const std::string_view inside: {"_content", "_val"})
    if (const View content = view.get(inside); content.kind() != Kind::unknown)
      return value(content, depth + 1);
  if (view.kept() > 0) return pairs(view, depth);
  if (state.kind() == Kind::dict) return pairs(state, depth);
  value(view.args(), depth + 1);
}

void JsonText::value(const View& view, unsigned depth) {
  ++nodes_;
  if (depth > k_max_depth || !fits()) {
    out_ += "null";
    return;
  }
  switch (view.kind()) {
  case Kind::text:
    return quoted(view.text(k_max_text).value_or("…"));
  case Kind::integer:
    out_ += std::to_string(view.integer().value_or(0));
    return;
  case Kind::boolean:
    out_ += view.integer().value_or(0) != 0 ? "true" : "false";
    return;
  case Kind::tuple:
  case Kind::list:
  case Kind::set:
    return list(view, depth);
  case Kind::dict:
    return pairs(view, depth);
  case Kind::object:
    return object(view, depth);
  case Kind::global:
    return quoted(view.name());
  default:
    out_ += "null";
  }
}

} // namespace

void Machine::judge_configuration() {
  if (!names_target_ || quiet()) return;
  JsonText json;
  json.value(view(result_), 0);
  MemorySource source(as_bytes(json.text()));
  session_.embedded("hyper_parameters.json", source);
}

} // namespace hubgate::pickle
