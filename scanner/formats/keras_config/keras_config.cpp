// Configurations of Keras models as JSON: config.json of .keras files, model_config of HDF5 files,
// model.json, presets of KerasHub. See README.md.
#include "scanner/formats/keras_config/judge.hpp"
#include "scanner/formats/keras_config/names.hpp"
#include "scanner/formats/keras_config/rules.hpp"

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::uint64_t k_max_document = std::uint64_t{64} << 20;
constexpr std::size_t k_step = std::size_t{1} << 20;
constexpr std::string_view k_names = "config.json|task.json|preprocessor.json|model.json|"
                                     "model_config|training_config|*architecture*.json";

Claim probe(const Probe& probe) {
  std::string_view head = as_text(probe.head);
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  // Blanks as far as one can see: what follows them is anybody's guess.
  if (first == std::string_view::npos) return head.empty() ? Claim::no : Claim::maybe;
  return head[first] == '{' || head[first] == '[' ? Claim::maybe : Claim::no;
}

// Whether the text names a class: as it is written, or with its letters escaped.
bool may_name_class(std::string_view text) {
  if (text.find("\"class_name\"") != std::string_view::npos) return true;
  for (std::size_t at = text.find("\\u00"); at != std::string_view::npos;
       at = text.find("\\u00", at + 1))
    if (at + 5 < text.size() && text[at + 4] >= '5' && text[at + 4] <= '7') return true;
  return false;
}

Reading scan(Source& source, Session& session) {
  // A window at a time, with what a window's end may cut.
  constexpr std::size_t k_behind = 16;
  bool candidate = false;
  std::uint64_t at = 0;
  for (; !candidate && at <= k_max_document;) {
    const Bytes window = source.view(at, k_step);
    candidate = may_name_class(as_text(window));
    if (window.size() <= k_behind || window.size() < k_step) break;
    at += window.size() - k_behind;
  }
  if (!candidate) return Reading::none;
  const std::uint64_t size = source.wait_end();
  const keras::Tree tree = keras::Tree::read(source, std::min(size, k_max_document));
  if (!keras::is_keras(tree)) return Reading::none;
  keras::judge(tree, session);
  switch (tree.state()) {
  case keras::Tree::State::complete:
    session.ends_at(tree.end());
    return Reading::valid;
  case keras::Tree::State::limit:
    session.gap(Reason::budget, Reach::load, tree.end(),
                "a configuration with too many values or nested too deep", k_names);
    break;
  case keras::Tree::State::truncated:
    if (size > k_max_document)
      session.gap(Reason::budget, Reach::load, tree.end(), "a configuration longer than 64 MiB",
                  k_names);
    else
      session.gap(Reason::truncated, Reach::load, tree.end(), "the configuration is cut", k_names);
    break;
  case keras::Tree::State::broken:
    session.gap(Reason::malformed, Reach::load, tree.end(), "the configuration is no JSON",
                k_names);
    break;
  }
  return Reading::broken;
}

} // namespace

extern const Format format_keras_config;
const Format format_keras_config{.name = "keras_config",
                                 .family = "json",
                                 .probe = probe,
                                 .scan = scan,
                                 .rules = keras::k_rules,
                                 .data_version = keras::k_names_version};

} // namespace hubgate
