#pragma once
// Revisions as the hub tells of them: which commit a name stands for, and which files are in it.
// All of it is a claim of the hub; what its objects are is found out by reading them.
#include "proxy/relay/gate.hpp"

namespace hubgate::proxy {

inline constexpr std::size_t k_tree_files = 50'000; ///< listed files of a revision

/// Of a canonical name: "datasets" and "org/name".
struct RepoName {
  std::string kind = "models";
  std::string name;
};
RepoName split_repo(std::string_view repo);

/// The reverse; `kind` is "model" or "models", "dataset"… Nothing when it is no name of a
/// repository.
std::optional<std::string> canonical_repo(std::string_view kind, std::string_view name);

/// Each part of a path, percent-encoded.
std::string encoded_path(std::string_view path);

/// "/api/models/org/name"
std::string api_path(std::string_view repo);

bool is_commit(std::string_view revision);

/// The id of a blob of these bytes (sha1).
std::string git_blob_id(std::string_view bytes);

/// A page of the hub's tree listing: JSON array of {type, path, oid, size, lfs: {oid, size}}.
struct ListedFile {
  std::string path;
  std::string oid; ///< Git's
  std::uint64_t size = 0;
  std::optional<Sha256> lfs; ///< of an LFS object
  std::string xet;           ///< of its Xet file, "" when there is none
};
Result<std::vector<ListedFile>> parse_tree_page(std::string_view json);

/// The target of a Link field's rel="next", if it is on `upstream`.
std::optional<std::string> next_page(std::string_view link, const Origin& upstream);

/// The files of a revision.
struct Listing {
  std::vector<ListedFile> files;
  std::optional<Gap> gap; ///< why it is not complete
  bool missing = false;   ///< because the hub knows no such revision
};

/// All pages; `fields` go with each request.
Task<Listing> list_files(Gate& gate, const Hub& hub, std::string repo, std::string revision,
                         Headers fields, TimePoint until);

/// The commit that a revision stands for now. Nothing: the client has been told.
Task<std::optional<std::string>> commit_of(Visit& visit, std::string repo, std::string revision);

} // namespace hubgate::proxy
