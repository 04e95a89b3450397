#pragma once
// Files that a reference names (law 5): a commit, a branch, a merge, a copy. Each needs a verdict
// that the policy allows, wherever its bytes came from; what nobody has judged is fetched and
// scanned while the client waits.
#include "proxy/relay/object.hpp"

namespace hubgate::proxy {

/// How long a client is kept waiting for objects that nobody has judged: JavaScript's fetch gives
/// up after 300 seconds without an answer.
inline constexpr auto k_patience = std::chrono::seconds(240);

struct NamedFile {
  std::string path;
  std::optional<Sha256> oid;              ///< of an LFS object
  std::uint64_t size = 0;                 ///< bytes, of an LFS object
  std::shared_ptr<const Outcome> outcome; ///< when it is judged
};

/// Sets the outcome of every file: from records, else from the bytes that `repo` has at `commit`,
/// or, when that is empty, that it gives as LFS objects. False: the client has been told.
Task<bool> judge_named(Visit& visit, std::string repo, std::string commit,
                       std::vector<NamedFile>& files);

/// Decides on them under their paths in the visit's repository. What passes without a word leaves
/// no record. False: the client has been told of the worst.
Task<bool> named_pass(Visit& visit, const std::vector<NamedFile>& files);

/// Records the decisions. False: the client has been told of the worst.
Task<bool> all_pass(Visit& visit, std::vector<Gatekeeper::Case> cases);

/// Whether a new reference to this commit may be made: its files, and what they are together.
/// False: the client has been told. Contexts are the visit's, which may be another repository than
/// `repo`.
Task<bool> reference_permitted(Visit& visit, std::string repo, std::string commit);

} // namespace hubgate::proxy
