// Chat templates of one model in several files (GGF-003): whoever looks at the page of the hub sees
// one of them, and a poisoned one may lie in a single quant. Templates are compared by digest, as
// their files tell it (references of kind `template`).
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace hubgate::tree {
namespace {

// Whether a part of a name says how the weights are stored: q4_k_m, iq2_xxs, f16, mxfp4…
bool is_quantisation(std::string_view part) {
  constexpr std::array<std::string_view, 12> k_words{
      "f16", "f32", "bf16", "fp16", "fp32", "fp8", "imat", "imatrix", "ud", "xl", "mxfp4", "moe"};
  if (std::find(k_words.begin(), k_words.end(), part) != k_words.end()) return true;
  std::size_t at = part.starts_with("iq") || part.starts_with("tq") ? 2
                   : part.starts_with("q")                          ? 1
                                                                    : 0;
  return at > 0 && at < part.size() && part[at] >= '1' && part[at] <= '9';
}

// The model that a file of quantised weights belongs to: its name without storage and part.
std::string model_of(std::string_view name) {
  std::string stem = lower_case(name.substr(0, name.rfind('.')));
  if (const std::size_t of = stem.rfind("-of-"); of != std::string::npos && of > 6)
    stem.resize(of - 6);
  for (;;) {
    const std::size_t at = stem.find_last_of("-.");
    if (at == std::string::npos || !is_quantisation(std::string_view(stem).substr(at + 1)))
      return stem;
    stem.resize(at);
  }
}

} // namespace

void judge_templates(Judge& judge) {
  struct File {
    std::size_t index;
    std::set<std::string> digests;
  };
  std::map<std::string, std::vector<File>> models;
  for (std::size_t i = 0; i < judge.entries.size(); ++i) {
    const TreeEntry& entry = judge.entries[i];
    if (entry.report == nullptr || entry.report->format != "gguf") continue;
    File file{i, {}};
    for (const Reference& reference: entry.report->references)
      if (reference.kind == "template" && reference.condition.empty())
        file.digests.insert(reference.target);
    // Only the first part of a split model has a template.
    if (!file.digests.empty()) models[model_of(name_of(entry.path))].push_back(std::move(file));
  }
  for (const auto& [model, files]: models) {
    std::map<std::set<std::string>, std::size_t> counted;
    for (const File& file: files)
      ++counted[file.digests];
    if (counted.size() < 2) continue;
    const auto usual =
        std::max_element(counted.begin(), counted.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const File& file: files)
      if (file.digests != usual->first)
        judge.add(rule(RuleId::template_differs), judge.entries[file.index].path,
                  "the chat template differs from that of " + std::to_string(usual->second) +
                      " other files of " + model);
  }
}

} // namespace hubgate::tree
