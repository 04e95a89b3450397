#pragma once
// The policy as it is evaluated: what the YAML reader makes and decide() walks. Internal to
// policy/.
#include "policy/policy.hpp"

#include <span>

namespace hubgate {

struct PresetText {
  std::string_view name;
  std::string_view yaml;
};

/// The files of policy/presets/, the default first.
std::span<const PresetText> preset_texts();

/// What a rule asks for. Each field: any of its values, an empty one asks nothing; all fields must
/// agree.
struct Match {
  std::vector<Direction> direction;
  std::vector<Road> road;
  std::vector<std::string> hub;
  std::vector<std::string> repo;
  std::vector<std::string> organisation;
  std::vector<std::string> revision;
  std::vector<std::string> branch;
  std::vector<std::string> ref;
  std::vector<std::string> path;
  std::vector<std::string> format;
  std::vector<VerdictKind> verdict;
  std::vector<Severity> severity;
  std::vector<std::string> klass;
  std::vector<std::string> rules;
  std::vector<Reason> reason;
  std::vector<Reach> reach;
  std::vector<std::string> user;
  std::vector<std::string> group;
  std::vector<Sha256> sha256;            ///< of the object's bytes
  std::optional<std::uint64_t> size_min; ///< bytes, inclusive
  std::optional<std::uint64_t> size_max;

  /// Asks for a property that only findings have.
  bool asks_finding() const { return !severity.empty() || !klass.empty() || !rules.empty(); }
  /// Asks for anything that the bytes decide, besides their length and format.
  bool asks_content() const {
    return asks_finding() || !verdict.empty() || !reason.empty() || !reach.empty();
  }
  bool asks_nothing() const;
  /// Asks for what a push or pull says of itself: to what it goes and who it is.
  bool asks_who_or_where() const {
    return !revision.empty() || !branch.empty() || !ref.empty() || !user.empty() || !group.empty();
  }
};

/// Users that the policy itself puts into a group.
struct Group {
  std::string name;
  std::vector<std::string> users; ///< globs
};

struct PolicyRule {
  std::string id;
  Match match;
  Action action = Action::block;
  std::optional<Mode> mode; ///< instead of the file's
  std::string reason;       ///< "" = none given
  bool overrides_malicious = false;
  std::size_t line = 0;
};

struct Policy::Model {
  std::string name;
  std::string digest;
  Mode mode = Mode::enforce;
  std::vector<Group> groups;
  std::vector<PolicyRule> rules;
  std::shared_ptr<const yara::Compiled> yara;
};

/// Reads a model; problems go to the document. `folder`: where names of files in it begin.
Policy::Model read_policy(yaml::Document& document, std::string_view name,
                          const std::filesystem::path& folder);

} // namespace hubgate
