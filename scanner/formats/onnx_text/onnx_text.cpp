// ONNX models as text: protobuf's text format, its JSON, and ONNX's own syntax (docs/Syntax.md),
// which onnx.load reads by the file's suffix. One reader of words, strings and brackets serves the
// three. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/onnx/model.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{64} << 10;
constexpr std::size_t k_max_word = 4096;
constexpr std::size_t k_max_string = std::size_t{1} << 20;
constexpr std::size_t k_max_open = 1000;
constexpr std::size_t k_longest_text = 16; ///< shorter ones hold no payload

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-' || c == '+';
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), judge_(source, session) {}
  Reading run();

private:
  enum class Wait { nothing, op, domain, location };
  void character(char c, std::uint64_t offset);
  void word_ended();
  void value(const std::string& text);
  void open(char kind);
  void close();
  void call(const std::string& word);
  void custom(const std::string& domain, const std::string& op);

  struct Open {
    char kind;
    std::string name;   ///< the word or key in front of it
    std::string op;     ///< op_type in this block
    std::string domain; ///< domain in this block
  };
  Source& source_;
  Session& session_;
  onnx::Judge judge_;
  onnx::Flow flow_;
  std::vector<Open> open_;
  std::set<std::string> local_; ///< domains whose functions the model defines
  std::vector<onnx::Node> custom_;
  std::string word_;
  std::string last_; ///< the last word or string
  std::string text_; ///< of the string that is being read
  char quote_ = 0;
  bool escaped_ = false;
  bool key_was_location_ = false;
  bool in_comment_ = false;
  bool graph_seen_ = false;
  std::uint64_t at_ = 0;
};

void Scan::custom(const std::string& domain, const std::string& op) {
  if (custom_.size() >= 4096) return;
  onnx::Node node;
  node.op = op;
  node.domain = domain;
  node.offset = at_;
  custom_.push_back(std::move(node));
}

void Scan::open(char kind) {
  graph_seen_ = graph_seen_ || kind == '{';
  if (open_.size() >= k_max_open) return;
  // Elements of a list are named by the list.
  const bool element = kind == '{' && !open_.empty() && open_.back().kind == '[';
  open_.push_back({kind, element ? open_.back().name : last_, {}, {}});
}

void Scan::close() {
  if (open_.empty()) return;
  const Open block = std::move(open_.back());
  open_.pop_back();
  if (block.name == "functions" && !block.domain.empty()) local_.insert(block.domain);
  if (!block.op.empty()) custom(block.domain, block.op);
}

// A string, or a word that stands where one may.
void Scan::value(const std::string& text) {
  const std::string key = last_;
  if (!open_.empty()) {
    if (key == "op_type" || key == "opType") open_.back().op = text;
    if (key == "domain") open_.back().domain = text;
  } else if (key == "domain" && graph_seen_) {
    // The header of a function in ONNX's own syntax; the model's own comes before the graph.
    local_.insert(text);
  }
  if (key_was_location_ && text != "value") {
    onnx::Tensor tensor;
    tensor.offset = at_;
    tensor.type = 1;
    tensor.external_data.emplace_back("location", text);
    judge_.tensor(tensor);
    key_was_location_ = false;
  }
  // key: "location" value: "…", "key": "location", "value": "…", and ["location": "…"].
  if (text == "location") key_was_location_ = true;
  if (text.size() >= k_longest_text) judge_.text("a string", text, at_, false);
  last_ = text;
}

// "com.example.Thing(x)" and "com.example.Thing <a = 1> (x)" of ONNX's own syntax.
void Scan::call(const std::string& word) {
  const std::size_t dot = word.rfind('.');
  const bool number = !word.empty() && ((word[0] >= '0' && word[0] <= '9') || word[0] == '-');
  if (number) return;
  if (dot != std::string::npos && dot + 1 < word.size())
    custom(word.substr(0, dot), word.substr(dot + 1));
  else if (word.starts_with("PyOp") || word == "PythonOp")
    custom("", word);
}

void Scan::word_ended() {
  if (word_.empty()) return;
  // `domain: local` of a function's header in ONNX's own syntax has its value in quotes too.
  last_ = std::move(word_);
  word_.clear();
}

void Scan::character(char c, std::uint64_t offset) {
  if (in_comment_) {
    in_comment_ = c != '\n';
    return;
  }
  if (quote_ != 0) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
      return;
    } else if (c == quote_) {
      quote_ = 0;
      const std::string text = std::move(text_);
      text_.clear();
      value(text);
      return;
    }
    if (text_.size() < k_max_string) text_ += c;
    return;
  }
  if (is_word(c)) {
    if (word_.empty()) at_ = offset;
    if (word_.size() < k_max_word) word_ += c;
    return;
  }
  if ((c == '(' || c == '<') && !word_.empty()) call(word_);
  word_ended();
  switch (c) {
  case '"':
  case '\'':
    quote_ = c;
    at_ = offset;
    break;
  case '#':
    in_comment_ = true;
    break;
  case '{':
  case '[':
    open(c);
    break;
  case '}':
  case ']':
    close();
    break;
  default:
    break;
  }
}

Reading Scan::run() {
  std::uint64_t at = 0;
  for (Bytes piece = source_.some(0, k_step); !piece.empty(); piece = source_.some(at, k_step)) {
    const std::string copy(as_text(piece)); // the judge reads the source
    if (copy.find('\0') != std::string::npos) return Reading::none;
    for (const char c: copy)
      character(c, at++);
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, at, "out of time");
      return Reading::broken;
    }
  }
  while (!open_.empty())
    close();
  for (const onnx::Node& node: custom_)
    if (!local_.contains(node.domain)) judge_.node(node);
  judge_.finish(flow_);
  return Reading::valid;
}

// A model and nothing before it: a field of ModelProto, a brace, or the header of ONNX's own
// syntax.
Claim probe(const Probe& probe) {
  std::string_view head = as_text(probe.head);
  constexpr std::string_view k_blank = " \t\r\n";
  const auto skip_blank = [&] {
    head.remove_prefix(std::min(head.find_first_not_of(k_blank), head.size()));
  };
  skip_blank();
  while (head.starts_with('#')) {
    head.remove_prefix(std::min(head.find('\n'), head.size()));
    skip_blank();
  }
  if (head.starts_with('{')) return holds(head, "\"irVersion\"") ? Claim::maybe : Claim::no;
  if (!holds(head, "ir_version")) return Claim::no;
  if (head.starts_with('<')) {
    head.remove_prefix(1);
    skip_blank();
  }
  for (const std::string_view field: {"ir_version", "opset_import", "producer_name", "graph",
                                      "producer_version", "domain", "model_version", "doc_string"})
    if (head.starts_with(field)) return Claim::maybe;
  return Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_onnx_text;
const Format format_onnx_text{
    .name = "onnx_text", .family = "text", .probe = probe, .scan = scan, .rules = onnx::rules()};

} // namespace hubgate
