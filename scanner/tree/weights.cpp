// The same model in two formats (SAF-009): whoever looks at the safetensors only does not see what
// a loader takes that prefers, or is told to take, the other file.
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <array>
#include <map>

namespace hubgate::tree {
namespace {

constexpr std::array<std::string_view, 10> k_unsafe_suffixes{
    ".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".h5", ".dill", ".keras"};

// Names that loaders take for one another: "pytorch_model.bin" for "model.safetensors",
// "model-00001-of-00002" for either.
std::string weights_stem(std::string_view name) {
  std::string stem = lower_case(name.substr(0, name.rfind('.')));
  const std::size_t of = stem.rfind("-of-");
  if (of != std::string::npos) {
    const std::size_t dash = of == 0 ? std::string::npos : stem.rfind('-', of - 1);
    if (dash != std::string::npos) stem.resize(dash);
  }
  for (const std::string_view prefix: {"pytorch_", "tf_", "flax_"})
    if (stem.starts_with(prefix) && stem.substr(prefix.size()).starts_with("model"))
      stem.erase(0, prefix.size());
  return stem;
}

std::string_view unsafe_suffix(std::string_view lower_name) {
  for (const auto suffix: k_unsafe_suffixes)
    if (lower_name.ends_with(suffix)) return suffix;
  return {};
}

struct Twins {
  std::size_t safe = k_none;
  std::vector<std::size_t> unsafe;
};

} // namespace

void judge_weights(Judge& judge) {
  std::map<std::string, Twins> groups; // by folder and stem
  for (std::size_t i = 0; i < judge.entries.size(); ++i) {
    const TreeEntry& entry = judge.entries[i];
    if (entry.mode != FileMode::regular && entry.mode != FileMode::executable) continue;
    const std::string name = lower_case(name_of(entry.path));
    const bool safe = name.ends_with(".safetensors");
    if (!safe && unsafe_suffix(name).empty()) continue;
    Twins& group =
        groups[std::string(folder_of(entry.path)) + '\0' + weights_stem(name_of(entry.path))];
    if (!safe)
      group.unsafe.push_back(i);
    else if (group.safe == k_none)
      group.safe = i;
  }
  for (const auto& [key, group]: groups) {
    if (group.safe == k_none || group.unsafe.empty()) continue;
    const std::string& safe = judge.entries[group.safe].path;
    bool told = false; // once a group: shards are many
    for (const std::size_t at: group.unsafe) {
      const TreeEntry& entry = judge.entries[at];
      const FileVerdict verdict = judge.verdict_of(at);
      const std::string pair = entry.path + " beside " + safe;
      if (verdict.worst)
        judge.add(rule(RuleId::poisoned_twin), entry.path,
                  pair + ": " + verdict.finding->rule + ": " + verdict.finding->evidence,
                  verdict.worst);
      else if (!told)
        judge.add(rule(RuleId::unsafe_twin), entry.path, pair);
      told = true;
    }
  }
}

} // namespace hubgate::tree
