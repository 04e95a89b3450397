#pragma once
// Cases: what the policy is asked about a push. A report knows bytes only; here comes what Git adds
// to them: that a blob is a link, that a pointer's object is missing or other than it says, that a
// tree can't be trusted.
#include "policy/git/answer.hpp"
#include "policy/judge/judge.hpp"

#include <memory>

namespace hubgate {

struct PushCase {
  std::shared_ptr<const Report> report;
  Item item;
};

/// The LFS objects that pointers name.
struct LfsObjects {
  /// What was judged under an id (64 hex digits); null when nobody has it.
  std::function<const Judged*(const std::string& oid)> find;
  /// Whether one that is absent now may come later (lfs.absent: pending).
  bool may_be_late = false;
};

/// The hook's own rules: links, trees, pointers, what moves in and out of LFS.
std::vector<Rule> hook_rules();
/// What a rule of the hook found; the evidence is raw.
Finding hook_finding(const Rule& rule, std::string_view evidence);
/// Whether a file has a name as loaders of models open it.
bool is_model_name(std::string_view name);

class CaseMaker {
public:
  /// `context`: what is known of the push whatever the object; no revision, no path.
  CaseMaker(Context context, const std::vector<git::RefUpdate>& updates, LfsObjects lfs)
      : context_(std::move(context)), updates_(updates), lfs_(std::move(lfs)) {}

  PushCase of_problem(const ObjectProblem& problem) const;
  /// What the name of a ref update itself makes of it; nothing for a harmless one.
  std::optional<PushCase> of_ref(std::size_t ref) const;
  /// The blob under one path, and the LFS objects that it points at. `judged` must stay where it
  /// is.
  std::vector<PushCase> of_blob(const BlobEntry& blob, const BlobUse& use,
                                const Judged& judged) const;

private:
  Item item_at(Place place, const git::Oid& oid, const std::string& path) const;
  void of_pointer(const git::Pointer& pointer, PushCase& blob, Report& report,
                  std::vector<PushCase>& out) const;

  Context context_;
  const std::vector<git::RefUpdate>& updates_;
  LfsObjects lfs_;
};

/// What a file that Git takes its configuration from adds, where scanners would not read it as Git
/// does; nothing for an ordinary one.
std::optional<Finding> control_finding(std::string_view path, const Judged& judged);

/// What a symbolic link at `path` with the blob's bytes adds; nothing for a harmless one.
std::optional<Finding> link_finding(std::string_view path, std::string_view target,
                                    std::uint64_t size);

} // namespace hubgate
