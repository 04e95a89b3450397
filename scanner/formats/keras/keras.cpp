// .keras: a zip of config.json, metadata.json and weights (keras/src/saving/saving_lib.py). The zip
// format scans every member, the configuration is judged by keras_config; here the members are held
// against what Keras writes. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/zip/reader.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 3> k_rules{{
    {"keras-foreign-member", "structure", Severity::suspicious, Reach::data, "CWE-506", "AML.T0076",
     "KER-018", "the model's archive holds what Keras never puts there"},
    {"keras-duplicate-member", "structure", Severity::suspicious, Reach::load, "CWE-436",
     "AML.T0076", "KER-018",
     "the configuration is there twice: readers differ on which one they take"},
    {"keras-weights-npz", "structure", Severity::informational, Reach::load, "CWE-502",
     "AML.T0011.000", "KER-019", "the weights are NumPy arrays, which may hold pickles"},
}};

const Rule& k_foreign = k_rules[0];
const Rule& k_duplicate = k_rules[1];
const Rule& k_npz = k_rules[2];

constexpr std::size_t k_told = 20;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

std::string folded(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// Assets are the layers' own files: vocabularies, SentencePiece models.
bool is_asset(std::string_view name) {
  if (!name.starts_with("assets/")) return false;
  for (const std::string_view end: {".py", ".pyc", ".so", ".dll", ".exe", ".sh", ".bat", ".ps1",
                                    ".dylib", ".pyd", ".pth", ".pkl", ".pickle", ".jar"})
    if (name.ends_with(end)) return false;
  return true;
}

bool is_own(std::string_view name) {
  if (name == "config.json" || name == "metadata.json" || is_asset(name)) return true;
  // model.weights.h5, sharded as model.weights_00001.h5 with model.weights.json.
  if (!name.starts_with("model.weights")) return false;
  const bool flat = name.find('/') == std::string_view::npos;
  return flat && (name.ends_with(".h5") || name.ends_with(".npz") || name.ends_with(".json"));
}

Claim probe(const Probe& probe) {
  if (probe.tail.empty()) return Claim::no;
  const std::string_view tail = as_text(probe.tail);
  if (!zip::begins_like_zip(probe.head) && !zip::ends_like_zip(probe)) return Claim::no;
  int names = 0;
  for (const std::string_view name: {"config.json", "metadata.json", "model.weights"})
    names += holds(tail, name) ? 1 : 0;
  return names > 1 ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const auto directory = zip::read_directory(source, session.budget());
  if (!directory) return Reading::none;
  std::size_t configurations = 0;
  bool metadata = false;
  bool weights = false;
  for (const zip::Member& member: directory->members) {
    const std::string name = folded(member.central.name);
    configurations += name == "config.json" ? 1 : 0;
    metadata = metadata || name == "metadata.json";
    weights = weights || name.starts_with("model.weights");
  }
  // Any two of the three: a loader asks for the first and the last.
  if ((configurations > 0 ? 1 : 0) + (metadata ? 1 : 0) + (weights ? 1 : 0) < 2)
    return Reading::none;
  if (configurations > 1)
    session.find(k_duplicate, 0, 0, std::to_string(configurations) + " times config.json");
  std::size_t told = 0;
  for (const zip::Member& member: directory->members) {
    const std::string& name = member.central.name;
    if (member.central.is_directory()) continue;
    if (name == "model.weights.npz")
      session.find(k_npz, member.central.local_offset, member.central.size, name);
    if (!is_own(name) && ++told <= k_told)
      session.find(k_foreign, member.central.local_offset, member.central.size, name);
  }
  session.ends_at(directory->end.end);
  return Reading::valid;
}

} // namespace

extern const Format format_keras;
const Format format_keras{"keras", "zip", probe, scan, k_rules};

} // namespace hubgate
