#include "proxy/cache/cache.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <unistd.h>

namespace hubgate::proxy {
namespace {

namespace fs = std::filesystem;

std::string made_of(char letter, std::size_t size) {
  return std::string(size, letter);
}

class CacheTest : public testing::Test {
protected:
  CacheTest()
      : dir_(fs::path(testing::TempDir()) /
             ("cache_test_" + std::to_string(::getpid()) + "_" + std::to_string(counter_++))) {
    fs::remove_all(dir_);
  }
  ~CacheTest() override { fs::remove_all(dir_); }

  std::unique_ptr<Cache> open(std::uint64_t size = std::uint64_t{64} << 20) {
    Cache::Options options;
    options.dir = dir_;
    options.size = size;
    auto opened = Cache::open(options);
    EXPECT_TRUE(opened.ok()) << (opened ? "" : opened.error().message);
    return opened ? std::move(*opened) : nullptr;
  }

  static Sha256 put(Cache& cache, const std::string& bytes) {
    const Sha256 digest = sha256(as_bytes(bytes));
    const auto fill = cache.begin(bytes.size());
    EXPECT_NE(fill, nullptr);
    if (!fill) return digest;
    for (std::size_t at = 0; at < bytes.size(); at += 300'000)
      fill->append(as_bytes(bytes).subspan(at, std::min<std::size_t>(300'000, bytes.size() - at)));
    fill->keep(digest);
    cache.flush();
    return digest;
  }

  std::size_t files() const {
    std::size_t n = 0;
    for (const auto& file: fs::recursive_directory_iterator(dir_))
      n += file.is_regular_file() && file.path().filename().string().size() == 64 ? 1 : 0;
    return n;
  }
  std::size_t halves() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir_ / "tmp"), fs::directory_iterator()));
  }

  static inline int counter_ = 0;
  fs::path dir_;
};

TEST_F(CacheTest, KeepsWholeObjectsOverARestart) {
  const std::string bytes = made_of('a', 3'000'000);
  Sha256 digest{};
  {
    auto cache = open();
    digest = put(*cache, bytes);
    const auto entry = cache->find(digest, bytes.size());
    ASSERT_TRUE(entry);
    std::string back(bytes.size(), '\0');
    EXPECT_EQ(::pread(entry->file.get(), back.data(), back.size(), 0),
              static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(cache->bytes(), bytes.size());
  }
  auto again = open();
  EXPECT_TRUE(again->find(digest, bytes.size()));
  EXPECT_FALSE(again->find(digest, bytes.size() + 1)) << "another size is another object";
}

TEST_F(CacheTest, NothingOfWhatWasNotKept) {
  auto cache = open();
  const std::string bytes = made_of('b', 2'000'000);
  const Sha256 digest = sha256(as_bytes(bytes));
  {
    const auto dropped = cache->begin(bytes.size());
    dropped->append(as_bytes(bytes));
    dropped->drop();
    const auto forgotten = cache->begin(std::nullopt);
    forgotten->append(as_bytes(bytes));
  }
  cache->flush();
  EXPECT_FALSE(cache->has(digest));
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(halves(), 0u);
}

TEST_F(CacheTest, OneGateAFolder) {
  auto cache = open();
  Cache::Options options;
  options.dir = dir_;
  const auto second = Cache::open(options);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("another gate"), std::string::npos);
}

TEST_F(CacheTest, TheLeastRecentlyUsedGoes) {
  constexpr std::size_t k_size = 400'000;
  auto cache = open(3 * k_size + 1000);
  const Sha256 a = put(*cache, made_of('a', k_size));
  const Sha256 b = put(*cache, made_of('b', k_size));
  const Sha256 c = put(*cache, made_of('c', k_size));
  EXPECT_TRUE(cache->find(a, k_size)); // now b is the oldest
  const Sha256 d = put(*cache, made_of('d', k_size));
  EXPECT_TRUE(cache->has(a));
  EXPECT_FALSE(cache->has(b));
  EXPECT_TRUE(cache->has(c));
  EXPECT_TRUE(cache->has(d));
  EXPECT_EQ(cache->counts().evicted, 1u);
  EXPECT_EQ(files(), 3u);
  cache.reset();
  cache = open(k_size + 1000); // made smaller: it shrinks at the start
  EXPECT_EQ(files(), 1u);
  EXPECT_TRUE(cache->has(d));
}

TEST_F(CacheTest, PinnedOnesStayAndNothingElseFits) {
  constexpr std::size_t k_size = 600'000;
  auto cache = open(1'000'000);
  const Sha256 a = put(*cache, made_of('a', k_size));
  ASSERT_TRUE(*cache->index().pin(a, true));
  const Sha256 b = put(*cache, made_of('b', k_size));
  EXPECT_TRUE(cache->has(a));
  EXPECT_FALSE(cache->has(b));
  EXPECT_EQ(cache->counts().given_up, 1u);
  EXPECT_EQ(halves(), 0u);
  EXPECT_EQ(cache->begin(2'000'000), nullptr) << "larger than the whole cache";
  cache->evict(a, Cache::Why::verdict);
  EXPECT_FALSE(cache->has(a)) << "a verdict does not mind pins";
}

TEST_F(CacheTest, OneOfUnknownSizeThatBecomesTooLarge) {
  auto cache = open(std::uint64_t{2} << 20);
  const auto fill = cache->begin(std::nullopt);
  const std::string piece = made_of('x', 1'500'000);
  for (int i = 0; i < 3; ++i) {
    fill->append(as_bytes(piece));
    cache->flush();
  }
  fill->keep(Sha256{});
  cache->flush();
  EXPECT_FALSE(cache->has(Sha256{}));
  EXPECT_EQ(cache->counts().given_up, 1u);
  EXPECT_EQ(halves(), 0u);
  const Sha256 fits = put(*cache, made_of('y', 1'900'000));
  EXPECT_TRUE(cache->has(fits)) << "what it had taken is free again";
}

TEST_F(CacheTest, AStartRemovesWhatNobodyKnows) {
  const std::string bytes = made_of('a', 100'000);
  Sha256 a{};
  Sha256 b{};
  {
    auto cache = open();
    a = put(*cache, bytes);
    b = put(*cache, made_of('b', 100'000));
  }
  std::ofstream(dir_ / "tmp" / "7.part") << "half";
  const Sha256 stray = sha256(as_bytes("stray"));
  fs::create_directories(Cache::object_file(dir_, stray).parent_path());
  std::ofstream(Cache::object_file(dir_, stray)) << "stray";
  fs::resize_file(Cache::object_file(dir_, b), 99'999);
  auto cache = open();
  EXPECT_TRUE(cache->has(a));
  EXPECT_FALSE(cache->has(b));
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(halves(), 0u);
}

TEST_F(CacheTest, AFileThatIsGoneIsNoEntry) {
  auto cache = open();
  const Sha256 a = put(*cache, made_of('a', 100'000));
  fs::remove(Cache::object_file(dir_, a));
  EXPECT_FALSE(cache->find(a, 100'000));
  EXPECT_FALSE(cache->has(a));
  EXPECT_EQ(cache->counts().damaged, 1u);
}

TEST_F(CacheTest, TheSameObjectTwice) {
  auto cache = open();
  const std::string bytes = made_of('a', 1'200'000);
  put(*cache, bytes);
  const Sha256 a = put(*cache, bytes);
  EXPECT_TRUE(cache->find(a, bytes.size()));
  EXPECT_EQ(cache->bytes(), bytes.size());
  EXPECT_EQ(files(), 1u);
}

TEST_F(CacheTest, AnswersAreTheirsWhoGotThem) {
  auto cache = open();
  CacheIndex& index = cache->index();
  const CacheIndex::FileKey key{"hub", "org\nname\nresolve\nmain\na.bin"};
  FileAnswer answer;
  answer.etag = "\"e\"";
  answer.size = 7;
  answer.sha256 = Sha256{1, 2, 3};
  ASSERT_TRUE(index.remember(key, "alice", "org/name", "main", answer).ok());
  const auto hers = *index.answer(key, "alice");
  ASSERT_TRUE(hers);
  EXPECT_TRUE(hers->authorised);
  EXPECT_EQ(hers->sha256, answer.sha256);
  EXPECT_FALSE((*index.answer(key, "bob"))->authorised);
  EXPECT_FALSE((*index.answer(key, ""))->authorised);
  ASSERT_TRUE(index.remember(key, "", "org/name", "main", answer).ok());
  EXPECT_TRUE((*index.answer(key, "bob"))->authorised) << "given to anybody";
  ASSERT_TRUE(index.forget(key, "").ok());
  EXPECT_FALSE((*index.answer(key, "bob"))->authorised);
  EXPECT_FALSE(*index.answer({"other", key.path}, "alice"));
  const CacheIndex::FileKey listing{"hub", "api\nmodels"};
  ASSERT_TRUE(index.remember_page(listing, "alice", {"A: b\r\n", "[1]"}).ok());
  EXPECT_EQ((*index.page(listing, "alice"))->body, "[1]");
  EXPECT_FALSE(*index.page(listing, "bob"));
}

TEST_F(CacheTest, WhoLosesARepositoryLosesWhatWasRemembered) {
  auto cache = open();
  CacheIndex& index = cache->index();
  FileAnswer answer;
  answer.sha256 = Sha256{1};
  const CacheIndex::FileKey file{"hub", "org\nname\nresolve\nmain\na.bin"};
  const CacheIndex::FileKey data{"hub", "datasets\norg\nname\nresolve\nmain\na.bin"};
  const CacheIndex::FileKey info{"hub", "api\nmodels\norg\nname\nrevision\nmain"};
  const CacheIndex::FileKey longer{"hub", "api\nmodels\norg\nname2"};
  for (const char* who: {"alice", "bob", ""}) {
    ASSERT_TRUE(index.remember(file, who, "org/name", "main", answer).ok());
    ASSERT_TRUE(index.remember(data, who, "datasets/org/name", "main", answer).ok());
    ASSERT_TRUE(index.remember_page(info, who, {"", "{}"}).ok());
    ASSERT_TRUE(index.remember_page(longer, who, {"", "{}"}).ok());
  }
  ASSERT_TRUE(index.forget_repo("hub", "org/name", "alice").ok());
  EXPECT_FALSE((*index.answer(file, "alice"))->authorised) << "nor is it public any more";
  EXPECT_TRUE((*index.answer(file, "bob"))->authorised);
  EXPECT_TRUE((*index.answer(data, "alice"))->authorised);
  EXPECT_FALSE(*index.page(info, "alice"));
  EXPECT_TRUE(*index.page(info, "bob"));
  EXPECT_TRUE(*index.page(longer, "alice"));
}

} // namespace
} // namespace hubgate::proxy
