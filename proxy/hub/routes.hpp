#pragma once
// Routes of a hub: what a request asks for, on the canonical names that policies match. Unknown
// routes are not guessed at: they become `page` (a small GET, scanned) or `refused`.
#include "proxy/hub/url.hpp"

namespace hubgate::proxy {

enum class Route {
  object,         ///< …/resolve/REV/PATH and its other spellings: the bytes of a file
  listing,        ///< JSON of the API that a GET asks for, tree listings among it
  paths_info,     ///< POST /api/…/paths-info/REV
  json_post,      ///< POST /api/validate-yaml: JSON both ways
  change,         ///< changes repositories and references: Asked::change says how
  preupload,      ///< POST /api/…/preupload/REV
  commit,         ///< POST /api/…/commit/REV
  xet_token,      ///< GET /api/…/xet-{read,write}-token/REV
  cas,            ///< what clients ask of the gate as a CAS
  telemetry,      ///< POST /v1/telemetry: what they count about it
  lfs_batch,      ///< POST ….git/info/lfs/objects/batch
  lfs_object,     ///< a link of the gate to an LFS object
  lfs_upload,     ///< a link of the gate that takes one
  lfs_part,       ///< a link of the gate that takes a part of one
  lfs_completion, ///< a link of the gate that all parts were sent to
  lfs_verify,     ///< a link of the gate that asks whether it came
  lfs_locks,      ///< ….git/info/lfs/locks…
  git_refs,       ///< GET ….git/info/refs?service=git-upload-pack
  git_pack,       ///< POST ….git/git-upload-pack
  git_push,       ///< anything of git-receive-pack
  page,           ///< another GET or HEAD
  file_host,      ///< GET or HEAD on an intercepted host that has files and no API
  refused,        ///< another method
};

/// What changes without bytes of files (but for create_repo, which may bring some).
enum class Change {
  none,
  create_repo,    ///< POST /api/repos/create
  move_repo,      ///< POST /api/repos/move
  delete_repo,    ///< DELETE /api/repos/delete
  duplicate_repo, ///< POST /api/…/duplicate
  settings,       ///< PUT /api/…/settings
  branch,         ///< POST /api/…/branch/NAME
  tag,            ///< POST /api/…/tag/REV
  delete_ref,     ///< DELETE of the same
  squash,         ///< POST /api/…/super-squash/BRANCH
  discussion,     ///< POST /api/…/discussions
  discuss,        ///< POST /api/…/discussions/N/{comment,title,status,comment/ID/{edit,hide}}
  merge,          ///< POST /api/…/discussions/N/merge
  copy_objects,   ///< POST /api/…/lfs-files/duplicate
  delete_objects, ///< POST /api/…/lfs-files/batch
};

struct Asked {
  Route route = Route::refused;
  Change change = Change::none;
  std::string repo;     ///< canonical: "org/name", "datasets/org/name"
  std::string revision; ///< decoded; of a change the name of the reference, or a number
  std::string path;     ///< in the repository, decoded
  Target target;
};

/// The path under which the gate offers LFS objects.
inline constexpr std::string_view k_lfs_link = "_hubgate";

Asked classify(std::string_view method, Target target);

} // namespace hubgate::proxy
