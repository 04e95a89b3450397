#pragma once
// The tree verdict on the pull of a revision (scanner/tree): before weights leave, the files that
// decide (code, configuration, indexes: small) are fetched with the person's own token, scanned,
// and judged together with the hub's listing. Once a commit, whoever waits; bounded in files, bytes
// and time, and what the bounds leave out is a gap for the policy to decide on.
#include "proxy/hub/revision.hpp"
#include "proxy/relay/object.hpp"
#include "scanner/tree/tree.hpp"

namespace hubgate::proxy {

inline constexpr std::size_t k_tree_fetches = 1'000;                   ///< files fetched for it
inline constexpr std::uint64_t k_tree_file = std::uint64_t{4} << 20;   ///< bytes of one
inline constexpr std::uint64_t k_tree_bytes = std::uint64_t{64} << 20; ///< bytes of all
inline constexpr auto k_tree_code_time = std::chrono::seconds(60);     ///< for its code together
inline constexpr auto k_tree_time = std::chrono::seconds(60);

/// What came out for a revision.
struct TreeVerdict {
  Report report;
  std::optional<Sha256> key; ///< tree_key(), for waivers
  TimePoint made = Clock::now();
};

/// Whether the file that the visit asks for may leave, as far as its revision decides that. False:
/// the client has been told. Called when the upstream has said yes to this request. A HEAD only
/// starts the work, but for clients that must hear a refusal at the HEAD. Adds a warning to the
/// fields that are passed where the policy annotates.
Task<bool> tree_permits(Visit& visit, Described& what);

/// What a commit does to the tree of its parent. What it points to outlives the judging.
struct TreeChange {
  struct File {
    std::string path;
    Sha256 sha256{};
    std::uint64_t size = 0;
    const Report* report = nullptr;
    std::string_view text = {}; ///< of inline files
  };
  std::vector<std::string> deleted;
  std::vector<std::string> deleted_folders;
  std::vector<File> added;
};

/// Decides on a revision that a new reference names. False: the client has been told.
Task<bool> revision_passes(Visit& visit, std::string repo, std::string commit);

/// Decides on the tree that a commit on top of `parent` would make; the first commit has none.
/// False: the client has been told.
Task<bool> change_passes(Visit& visit, std::string repo, std::string parent,
                         std::shared_ptr<const TreeChange> change);

/// A file that decides, by the name that Git gives it: what consecutive commits share is not
/// fetched again for each.
struct TreeBlob {
  Sha256 sha256{};
  std::uint64_t size = 0;
  Report report;
  std::string text; ///< of code
};

/// Keeps a file that a commit brings for the trees of later ones.
void keep_for_trees(Gate& gate, const Hub& hub, const std::string& repo, std::string_view bytes,
                    const Sha256& sha256, const Report& report, std::string_view path);

/// What is known of a file that decides, by Git's id (hex); null when nothing is.
std::shared_ptr<const TreeBlob> known_for_trees(Gate& gate, const Hub& hub, const std::string& repo,
                                                const std::string& oid);
/// Keeps one for the trees of later commits.
void keep_for_trees(Gate& gate, const Hub& hub, const std::string& repo, const std::string& oid,
                    std::shared_ptr<const TreeBlob> blob);

/// Whether the pull of a revision fetches this file ahead of the weights.
bool fetched_for_tree(std::string_view path);

} // namespace hubgate::proxy
