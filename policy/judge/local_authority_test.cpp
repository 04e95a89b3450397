// Who may vouch for what, and what the analyst takes for an object.
#include "policy/judge/local_authority.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <future>

namespace hubgate {
namespace {

class LocalAuthorityTest : public testing::Test {
protected:
  LocalAuthorityTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hubgate-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    pool_ = WorkerPool::start(all_formats()).value();
    keeper_ = Gatekeeper::open({.data_dir = folder_ / "data",
                                .policy = *Policy::preset("guarded"),
                                .rules = rules_digest(all_formats()),
                                .workers = pool_.get()})
                  .value();
    analyst_ = std::make_unique<Analyst>(*keeper_, *pool_,
                                         Analyst::Options{.jobs = 2, .scratch = folder_.string()});
  }
  ~LocalAuthorityTest() override {
    analyst_.reset();
    std::filesystem::remove_all(folder_);
  }

  LocalAuthority authority(std::string repo, std::string vouched_by) {
    return {*keeper_, *analyst_, {std::move(repo), std::move(vouched_by)}};
  }
  Result<std::vector<Analysis>> file(Fd fd, Analyst::Owner owner) {
    std::promise<Result<std::vector<Analysis>>> promise;
    analyst_->file(std::move(fd), std::nullopt, owner,
                   [&](Result<std::vector<Analysis>> out) { promise.set_value(std::move(out)); });
    return promise.get_future().get();
  }

  std::filesystem::path folder_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<Gatekeeper> keeper_;
  std::unique_ptr<Analyst> analyst_;
};

TEST_F(LocalAuthorityTest, VerdictsHoldForWhoGaveThem) {
  const auto oid = *git::Oid::from_hex(std::string(40, 'a'));
  LocalAuthority ann = authority("org/name", "1001:/srv/a.git");
  Report verdict;
  verdict.format = "repository";
  ASSERT_TRUE(ann.remember({{oid, &verdict}}, {{oid, "main"}}));
  EXPECT_TRUE(ann.is_judged(oid, "main"));
  EXPECT_TRUE(ann.tree_verdict(oid));
  EXPECT_FALSE(ann.is_judged(oid, ""));
  EXPECT_FALSE(ann.is_judged(oid, "feature"));
  for (const auto& [repo, vouched_by]:
       std::vector<std::pair<std::string, std::string>>{{"org/name", "1002:/srv/a.git"},
                                                        {"org/name", "1001:/srv/b.git"},
                                                        {"org/other", "1001:/srv/a.git"},
                                                        {"org/name", ""}}) {
    LocalAuthority other = authority(repo, vouched_by);
    EXPECT_FALSE(other.is_judged(oid, "main")) << repo << vouched_by;
    EXPECT_FALSE(other.tree_verdict(oid)) << repo << vouched_by;
  }
}

TEST_F(LocalAuthorityTest, WhatIsNoFileIsNoObject) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const Fd writer(ends[1]);
  EXPECT_FALSE(file(Fd(ends[0]), Analyst::Owner::foreign));
  EXPECT_FALSE(file(Fd(dup(writer.get())), Analyst::Owner::trusted));
}

TEST_F(LocalAuthorityTest, AFileIsHashedScannedAndKept) {
  const std::string text = "a file of words\n";
  for (const auto owner: {Analyst::Owner::foreign, Analyst::Owner::trusted}) {
    Fd fd = unlinked_file(folder_.string()).value();
    ASSERT_TRUE(write_bytes(fd.get(), as_bytes(text)));
    const auto analyses = file(std::move(fd), owner);
    ASSERT_TRUE(analyses) << analyses.error().message;
    EXPECT_EQ(analyses->front().digest.sha256, sha256(as_bytes(text)));
    EXPECT_TRUE(keeper_->lookup(sha256(as_bytes(text)), text.size()));
  }
}

TEST_F(LocalAuthorityTest, ABatchIsScannedByItsRanges) {
  LocalAuthority ours = authority("org/name", "");
  auto memory = sealed_memory(as_bytes("onetwothree"));
  ASSERT_TRUE(memory);
  std::promise<Result<std::vector<Analysis>>> promise;
  ours.analyse_batch(std::move(*memory), {{0, 3}, {3, 3}, {6, 5}, {11, 0}},
                     [&](Result<std::vector<Analysis>> out) { promise.set_value(std::move(out)); });
  const auto out = promise.get_future().get();
  ASSERT_TRUE(out) << out.error().message;
  ASSERT_EQ(out->size(), 4u);
  EXPECT_EQ((*out)[1].digest.sha256, sha256(as_bytes("two")));
  EXPECT_EQ((*out)[3].digest.size, 0u);
  const auto known = ours.known({{sha256(as_bytes("three")), 5}, {sha256(as_bytes("four")), 4}});
  ASSERT_TRUE(known);
  EXPECT_TRUE((*known)[0]);
  EXPECT_FALSE((*known)[1]);
}

} // namespace
} // namespace hubgate
