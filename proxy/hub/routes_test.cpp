#include "proxy/hub/routes.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

Asked asked(std::string_view method, std::string_view target) {
  auto parsed = parse_target(target);
  EXPECT_TRUE(parsed) << target;
  return parsed ? classify(method, std::move(*parsed)) : Asked{};
}

TEST(Routes, know_the_spellings_of_an_object) {
  for (const char* text:
       {"/ns/name/resolve/main/d/a.bin", "/ns/name/raw/main/d/a.bin", "/ns/name/blob/main/d/a.bin",
        "/api/resolve-cache/models/ns/name/main/d/a.bin", "/models/ns/name/resolve/main/d/a.bin"}) {
    const Asked object = asked("GET", text);
    EXPECT_EQ(object.route, Route::object) << text;
    EXPECT_EQ(object.repo, "ns/name") << text;
    EXPECT_EQ(object.revision, "main") << text;
    EXPECT_EQ(object.path, "d/a.bin") << text;
  }
  EXPECT_EQ(asked("GET", "/datasets/ns/name/resolve/main/a").repo, "datasets/ns/name");
  EXPECT_EQ(asked("GET", "/gpt2/resolve/main/a").repo, "gpt2");
  EXPECT_EQ(asked("HEAD", "/ns/name/resolve/refs%2Fpr%2F2/a").revision, "refs/pr/2");
  EXPECT_EQ(asked("PUT", "/ns/name/resolve/main/a").route, Route::refused);
  for (const char* text:
       {"/ns/name/resolve/feature%2Fx/d/a.bin", "/name/raw/feature%2Fx/d/a.bin"}) {
    const Asked object = asked("GET", text);
    EXPECT_EQ(object.revision, "feature/x") << text;
    EXPECT_EQ(object.path, "d/a.bin") << text;
  }
  const Asked raw = asked("GET", "/ns/name/resolve/refs/pr/1/d/a.bin");
  EXPECT_EQ(raw.revision, "refs/pr/1");
  EXPECT_EQ(raw.path, "d/a.bin");
  // Without its encoding a slash begins the path, as on the hub.
  EXPECT_EQ(asked("GET", "/ns/name/resolve/feature/x/a.bin").revision, "feature");
}

TEST(Routes, know_the_api) {
  EXPECT_EQ(asked("GET", "/api/models/ns/name/tree/main").route, Route::listing);
  EXPECT_EQ(asked("GET", "/api/whoami-v2").route, Route::listing);
  EXPECT_EQ(asked("POST", "/api/models/ns/name/paths-info/main").route, Route::paths_info);
  EXPECT_EQ(asked("GET", "/api/models/ns/name/xet-read-token/main").route, Route::xet_token);
  EXPECT_EQ(asked("GET", "/api/datasets/gpt2/xet-write-token/main").route, Route::xet_token);
  EXPECT_EQ(asked("POST", "/_hubgate/cas/0/v1/xorbs/default/aa").route, Route::cas);
  EXPECT_EQ(asked("POST", "/v1/telemetry").route, Route::telemetry);
  EXPECT_EQ(asked("POST", "/api/models/ns/name/commit/main").route, Route::commit);
  EXPECT_EQ(asked("POST", "/api/models/ns/name/commit/main").revision, "main");
  EXPECT_EQ(asked("POST", "/api/datasets/ns/name/preupload/refs%2Fpr%2F1").route, Route::preupload);
  EXPECT_EQ(asked("POST", "/api/models/ns/name/commit/feature%2Fx").revision, "feature/x");
  EXPECT_EQ(asked("POST", "/api/models/ns/name/commit/refs/pr/1").revision, "refs/pr/1");
  EXPECT_EQ(asked("POST", "/api/models/ns/name/commit/refs/pr/1").route, Route::commit);
  EXPECT_EQ(asked("GET", "/api/models/ns/name/tree/refs/pr/1/folder").path, "folder");
  EXPECT_EQ(asked("POST", "/api/models/ns/name/commit").route, Route::refused);
  EXPECT_EQ(asked("POST", "/api/models/ns/name/commit/main/more").route, Route::refused);
  EXPECT_EQ(asked("POST", "/api/validate-yaml").route, Route::json_post);
  EXPECT_EQ(asked("PUT", "/_hubgate/upload/" + std::string(64, 'a')).route, Route::lfs_upload);
  EXPECT_EQ(asked("PUT", "/_hubgate/lfs/" + std::string(64, 'a')).route, Route::refused);
  EXPECT_EQ(asked("GET", "/ns/name").route, Route::page);
  EXPECT_EQ(asked("DELETE", "/ns/name").route, Route::refused);
}

TEST(Routes, know_what_changes) {
  const auto change = [](std::string_view method, std::string_view target) {
    const Asked out = asked(method, target);
    EXPECT_EQ(out.route == Route::change, out.change != Change::none) << target;
    return out.change;
  };
  EXPECT_EQ(change("POST", "/api/repos/create"), Change::create_repo);
  EXPECT_EQ(change("POST", "/api/repos/move"), Change::move_repo);
  EXPECT_EQ(change("DELETE", "/api/repos/delete"), Change::delete_repo);
  EXPECT_EQ(change("PUT", "/api/repos/delete"), Change::none);
  EXPECT_EQ(change("POST", "/api/models/ns/name/branch/next"), Change::branch);
  EXPECT_EQ(asked("POST", "/api/models/ns/name/branch/next").revision, "next");
  EXPECT_EQ(change("POST", "/api/models/gpt2/tag/refs%2Fpr%2F1"), Change::tag);
  EXPECT_EQ(asked("POST", "/api/models/gpt2/tag/refs%2Fpr%2F1").repo, "gpt2");
  EXPECT_EQ(change("DELETE", "/api/datasets/ns/name/tag/v1"), Change::delete_ref);
  EXPECT_EQ(change("POST", "/api/models/ns/name/branch"), Change::none);
  EXPECT_EQ(change("POST", "/api/models/ns/name/branch/a/b"), Change::none);
  EXPECT_EQ(change("PATCH", "/api/models/ns/name/branch/a"), Change::none);
  EXPECT_EQ(change("POST", "/api/models/ns/name/super-squash/main"), Change::squash);
  EXPECT_EQ(change("POST", "/api/models/ns/name/discussions"), Change::discussion);
  EXPECT_EQ(change("POST", "/api/models/ns/name/discussions/12/merge"), Change::merge);
  EXPECT_EQ(asked("POST", "/api/models/ns/name/discussions/12/merge").revision, "12");
  EXPECT_EQ(change("POST", "/api/models/ns/name/discussions/12/status"), Change::discuss);
  EXPECT_EQ(change("POST", "/api/models/ns/name/discussions/12/comment/ab/edit"), Change::discuss);
  for (const char* other: {"x/merge", "0/merge", "1/merge/x", "1/commit", "1", "1/comment/a"})
    EXPECT_EQ(change("POST", std::string("/api/models/ns/name/discussions/") + other),
              Change::none);
  EXPECT_EQ(change("PUT", "/api/models/ns/name/settings"), Change::settings);
  EXPECT_EQ(change("POST", "/api/spaces/ns/name/duplicate"), Change::duplicate_repo);
  EXPECT_EQ(change("POST", "/api/models/ns/name/lfs-files/duplicate"), Change::copy_objects);
  EXPECT_EQ(change("POST", "/api/models/ns/name/lfs-files/batch"), Change::delete_objects);
  EXPECT_EQ(change("POST", "/api/models/ns/name/lfs-files/other"), Change::none);
  EXPECT_EQ(change("POST", "/api/spaces/ns/name/volumes"), Change::none);
  EXPECT_EQ(asked("GET", "/api/models/ns/name/discussions/1").route, Route::listing);
}

TEST(Routes, know_git) {
  EXPECT_EQ(asked("GET", "/ns/name.git/info/refs?service=git-upload-pack").route, Route::git_refs);
  EXPECT_EQ(asked("GET", "/ns/name/info/refs?service=git-upload-pack").repo, "ns/name");
  EXPECT_EQ(asked("GET", "/ns/name.git/info/refs?service=git-receive-pack").route, Route::git_push);
  EXPECT_EQ(asked("GET", "/ns/name.git/info/refs").route, Route::refused);
  EXPECT_EQ(asked("POST", "/datasets/ns/name.git/git-upload-pack").route, Route::git_pack);
  EXPECT_EQ(asked("POST", "/ns/name.git/git-receive-pack").route, Route::git_push);
  EXPECT_EQ(asked("GET", "/ns/name.git/objects/info/packs").route, Route::refused);
  EXPECT_EQ(asked("GET", "/ns/name.git/HEAD").route, Route::refused);
  const Asked batch = asked("POST", "/datasets/ns/name.git/info/lfs/objects/batch");
  EXPECT_EQ(batch.route, Route::lfs_batch);
  EXPECT_EQ(batch.repo, "datasets/ns/name");
  EXPECT_EQ(asked("POST", "/ns/name.git/info/lfs/locks/verify").route, Route::lfs_locks);
  EXPECT_EQ(asked("GET", "/ns/name.git/info/lfs/locks?path=a").route, Route::lfs_locks);
  EXPECT_EQ(asked("GET", "/ns/name.git/info/lfs/locksmith").route, Route::refused);
}

} // namespace
} // namespace hubgate::proxy
