#pragma once
// The tree verdict on the pull of a revision (scanner/tree): before weights leave, the files that
// decide (code, configuration, indexes: small) are fetched with the person's own token, scanned,
// and judged together with the hub's listing. Once a commit, whoever waits; bounded in files, bytes
// and time, and what the bounds leave out is a gap for the policy to decide on.
#include "proxy/relay/object.hpp"
#include "scanner/tree/tree.hpp"

namespace hubgate::proxy {

inline constexpr std::size_t k_tree_files = 50'000;                  ///< listed files of a revision
inline constexpr std::size_t k_tree_fetches = 1'000;                 ///< files fetched for it
inline constexpr std::uint64_t k_tree_file = std::uint64_t{4} << 20; ///< bytes of one
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

/// A page of the hub's tree listing: JSON array of {type, path, oid, size, lfs: {oid, size}}.
struct ListedFile {
  std::string path;
  std::string oid; ///< Git's
  std::uint64_t size = 0;
  std::optional<Sha256> lfs; ///< of an LFS object
};
Result<std::vector<ListedFile>> parse_tree_page(std::string_view json);

/// The target of a Link field's rel="next", if it is on `upstream`.
std::optional<std::string> next_page(std::string_view link, const Origin& upstream);

/// Whether the pull of a revision fetches this file ahead of the weights.
bool fetched_for_tree(std::string_view path);

} // namespace hubgate::proxy
