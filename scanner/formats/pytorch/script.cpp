#include "scanner/formats/pytorch/script.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

namespace hubgate::pytorch {
namespace {

constexpr std::size_t k_told = 10; ///< findings of one text
constexpr std::size_t k_tokens = 4'000'000;

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

struct Word {
  enum class Kind { name, string, symbol } kind;
  std::string text;
  std::size_t at;
};

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Names, strings without their escapes undone, and single characters; comments and blanks are gone.
std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> out;
  for (std::size_t i = 0; i < text.size() && out.size() < k_tokens;) {
    const char c = text[i];
    const std::size_t begin = i;
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '"' || c == '\'') {
      const bool long_one = text.substr(i).starts_with(std::string(3, c));
      i += long_one ? 3 : 1;
      const std::size_t first = i;
      while (i < text.size() &&
             (long_one ? !text.substr(i).starts_with(std::string(3, c)) : text[i] != c))
        i += text[i] == '\\' ? 2 : 1;
      i = std::min(i, text.size());
      out.push_back({Word::Kind::string, std::string(text.substr(first, i - first)), begin});
      i = std::min(text.size(), i + (long_one ? 3 : 1));
    } else if (is_name(c)) {
      while (i < text.size() && is_name(text[i]))
        ++i;
      out.push_back({Word::Kind::name, std::string(text.substr(begin, i - begin)), begin});
    } else {
      ++i;
      if (c != ' ' && c != '\n' && c != '\t' && c != '\r' && c != '\\')
        out.push_back({Word::Kind::symbol, std::string(1, c), begin});
    }
  }
  return out;
}

class Judge {
public:
  Judge(Session& session, std::string_view text, std::string_view name, std::uint64_t offset)
      : session_(session), text_(text), name_(name), offset_(offset) {}

  void operation(std::string_view space, std::string_view operation, std::size_t at) {
    const Effect effect = effect_of(space, operation);
    if (effect == Effect::none) return;
    const std::string full = std::string(space) + "::" + std::string(operation);
    if (!seen_.insert(full).second || seen_.size() > k_told * 4) return;
    const std::string_view what = effect == Effect::files     ? " opens a file: "
                                  : effect == Effect::network ? " talks to other machines: "
                                  : effect == Effect::hooks   ? " runs hooks: "
                                                              : " is not known: ";
    const bool known = effect == Effect::files || effect == Effect::network;
    tell(known ? k_rule_script_effect : k_rule_script_operator, at, full + std::string(what));
  }
  void tell(const Rule& rule, std::size_t at, const std::string& what) {
    if (++told_ > k_told && rule.severity != Severity::malicious) return;
    std::string line(text_.substr(at, 160));
    line.resize(std::min(line.size(), line.find('\n')));
    session_.find(rule, offset_ + at, 0, std::string(name_) + ": " + what + line);
  }
  void script();

private:
  Session& session_;
  std::string_view text_;
  std::string_view name_;
  std::uint64_t offset_;
  std::size_t told_ = 0;
  std::set<std::string> seen_;
};

// torch.NAME is aten::NAME, ops.SPACE.NAME another's. Either may stand in brackets, come through
// getattr, or be given another name, which the printer never does.
void Judge::script() {
  const std::vector<Word> words = words_of(text_);
  const auto is = [&](std::size_t i, std::string_view symbol) {
    return i < words.size() && words[i].kind == Word::Kind::symbol && words[i].text == symbol;
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Word& word = words[i];
    if (word.kind != Word::Kind::name || (word.text != "torch" && word.text != "ops")) continue;
    // self.torch, __torch__.torch.nn…, x: torch…
    if (i > 0 && is(i - 1, ".")) continue;
    const std::size_t parts = word.text == "torch" ? 1 : 2;
    std::vector<std::string> path;
    std::size_t at = i + 1;
    while (path.size() < parts) {
      while (is(at, ")"))
        ++at;
      if (is(at, ".") && at + 1 < words.size() && words[at + 1].kind == Word::Kind::name) {
        path.push_back(words[at + 1].text);
        at += 2;
      } else if (is(at, ",") && at + 1 < words.size() && words[at + 1].kind == Word::Kind::string) {
        path.push_back(words[at + 1].text);
        at += 2;
      } else {
        break;
      }
    }
    if (path.size() == parts)
      operation(parts == 1 ? "aten" : path[0], path.back(), word.at);
    else if (!is(at, "=") && !is(at, ":"))
      tell(k_rule_script_operator, word.at, "operators under another name: ");
  }
  // Classes that libraries register: torch.classes.SPACE.NAME.
  constexpr std::string_view k_classes = "__torch__.torch.classes.";
  for (std::size_t at = text_.find(k_classes); at != std::string_view::npos;
       at = text_.find(k_classes, at + 1)) {
    const std::string_view rest = text_.substr(at + k_classes.size());
    const std::size_t end = static_cast<std::size_t>(
        std::find_if_not(rest.begin(), rest.end(), is_name) - rest.begin());
    const std::string_view space = rest.substr(0, end);
    constexpr std::array<std::string_view, 9> k_known{
        "quantized", "rnn", "xnnpack", "sparse", "mkldnn", "tensorrt", "vulkan", "metal", "conv"};
    if (!one_of(k_known, space) && seen_.insert("class " + std::string(space)).second)
      tell(k_rule_script_operator, at, "a class of the library " + std::string(space) + ": ");
  }
}

} // namespace

Effect effect_of(std::string_view space, std::string_view name) {
  constexpr std::array<std::string_view, 38> k_known_spaces{"aten",
                                                            "prim",
                                                            "prims",
                                                            "nvprims",
                                                            "quantized",
                                                            "_quantized",
                                                            "quantization",
                                                            "quantized_decomposed",
                                                            "prepacked",
                                                            "mkldnn_prepacked",
                                                            "mkldnn",
                                                            "sparse",
                                                            "static_runtime",
                                                            "onnx",
                                                            "torchvision",
                                                            "image",
                                                            "torchaudio",
                                                            "torch_scatter",
                                                            "torch_sparse",
                                                            "torch_cluster",
                                                            "torch_spline_conv",
                                                            "pyg",
                                                            "fbgemm",
                                                            "xnnpack",
                                                            "metal",
                                                            "metal_prepack",
                                                            "vulkan",
                                                            "vulkan_prepack",
                                                            "mps",
                                                            "neuron",
                                                            "tensorrt",
                                                            "ipex",
                                                            "torch_ipex",
                                                            "dim_order_ops",
                                                            "executorch_prim",
                                                            "llama",
                                                            "cadence",
                                                            "coreml"};
  constexpr std::array<std::string_view, 14> k_files{"save",
                                                     "from_file",
                                                     "_from_file",
                                                     "from_file_out",
                                                     "read_file",
                                                     "write_file",
                                                     "load_from_file",
                                                     "sox_io_load_audio_file",
                                                     "sox_io_save_audio_file",
                                                     "sox_effects_apply_effects_file",
                                                     "sox_io_get_info",
                                                     "load_library",
                                                     "_jit_load",
                                                     "open"};
  if (space == "c10d" || space == "_c10d_functional" || space == "_c10d_functional_autograd" ||
      space == "rpc" || (space == "prim" && name.starts_with("rpc_")) ||
      (space == "aten" && name == "dist_backward"))
    return Effect::network;
  if (space == "profiler") return Effect::hooks;
  if (space == "prim" && name == "PythonOp") return Effect::hooks;
  if (one_of(k_files, name)) return Effect::files;
  // torchaudio's and torchvision's readers of files carry the word.
  if (name.find("file") != std::string_view::npos &&
      name.find("profile") == std::string_view::npos &&
      (space == "image" || space == "torchaudio" || space == "aten"))
    return Effect::files;
  return one_of(k_known_spaces, space) ? Effect::none : Effect::unknown;
}

void judge_script(Session& session, std::string_view text, std::string_view name,
                  std::uint64_t offset) {
  Judge(session, text, name, offset).script();
}

void judge_operators(Session& session, std::string_view bytes, std::string_view name,
                     std::uint64_t offset) {
  Judge judge(session, bytes, name, offset);
  for (std::size_t at = bytes.find("::"); at != std::string_view::npos;
       at = bytes.find("::", at + 2)) {
    std::size_t begin = at;
    while (begin > 0 && at - begin < 64 && is_name(bytes[begin - 1]))
      --begin;
    std::size_t end = at + 2;
    while (end < bytes.size() && end - at < 80 && is_name(bytes[end]))
      ++end;
    // Lengths in front of texts may be letters: the known namespaces are found at their end.
    std::string_view space = bytes.substr(begin, at - begin);
    const std::string_view operation = bytes.substr(at + 2, end - at - 2);
    for (const std::string_view known:
         {"aten", "prim", "profiler", "c10d", "image", "torchaudio", "rpc"})
      if (space.ends_with(known)) space = known;
    if (!space.empty() && !operation.empty() && effect_of(space, operation) != Effect::unknown)
      judge.operation(space, operation, begin);
  }
}

} // namespace hubgate::pytorch
