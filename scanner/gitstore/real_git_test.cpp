// Packs that Git itself makes, with many options, object by object against what Git says of them.
#include "scanner/gitstore/loose.hpp"
#include "scanner/gitstore/pack_indexer.hpp"

#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace hubgate::git {
namespace {

namespace fs = std::filesystem;

std::string file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class RealGit : public testing::TestWithParam<const char*> {
protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hubgate-gitstore-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Output of a command of the shell in the folder; it must succeed.
  std::string run(const std::string& command) const {
    const std::string line = "cd '" + folder_.string() +
                             "' && export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 "
                             "GIT_DIR=r.git GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a.invalid "
                             "GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a.invalid && " +
                             command;
    std::FILE* pipe = popen(line.c_str(), "r");
    std::string out;
    std::array<char, 65536> buffer{};
    for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) != 0;)
      out.append(buffer.data(), n);
    EXPECT_EQ(pclose(pipe), 0) << command;
    return out;
  }

  // Twenty commits: a growing text, a growing folder, noise, an empty file, a tag.
  void make_repository(const std::string& options) const {
    run("git init -q --bare -b main " + options + " r.git");
    std::ofstream stream(folder_ / "import", std::ios::binary);
    std::string text;
    std::uint32_t noise = 1;
    for (int commit = 0; commit < 20; ++commit) {
      for (int line = 0; line < 200; ++line)
        text += "line " + std::to_string(commit * 1000 + line) + " of a file that grows\n";
      std::string random;
      for (int i = 0; i < 5000; ++i) {
        noise = noise * 1664525u + 1013904223u;
        random += static_cast<char>(noise >> 24);
      }
      stream << "commit refs/heads/main\ncommitter A <a@a.invalid> " << 1700000000 + commit
             << " +0000\ndata 4\nwork\n";
      const auto add = [&](const std::string& name, const std::string& data) {
        stream << "M 100644 inline " << name << "\ndata " << data.size() << "\n" << data << "\n";
      };
      add("grows.txt", text);
      add("folder/noise" + std::to_string(commit), random);
      add("folder/deep/er/small" + std::to_string(commit), std::to_string(commit));
      add("empty", "");
    }
    stream.close();
    run("git fast-import --quiet <import && git tag -a -m tag v1 main");
  }

  // Compares every object of every pack and all loose ones with what Git says.
  std::size_t compare_all(std::size_t id_size) const {
    std::size_t compared = 0;
    const auto check = [&](const Oid& oid, Kind kind, Bytes bytes) {
      ++compared;
      EXPECT_EQ(ObjectHasher(id_size).of(kind, bytes), oid);
    };
    for (const auto& entry: fs::recursive_directory_iterator(folder_ / "r.git/objects")) {
      if (!entry.is_regular_file()) continue;
      const fs::path& path = entry.path();
      if (path.extension() == ".idx") {
        const std::string index_bytes = file(path);
        const std::string pack_bytes = file(fs::path(path).replace_extension(".pack"));
        const auto index = PackIndex::open(as_bytes(index_bytes), id_size);
        EXPECT_TRUE(index) << path;
        if (!index) continue;
        MemorySource source(as_bytes(pack_bytes));
        PackReader::Options options;
        options.id_size = id_size;
        const auto reader = PackReader::open(source, &*index, options);
        EXPECT_TRUE(reader) << path;
        if (!reader) continue;
        compare_index(source, options, *index);
        for (std::uint32_t i = 0; i < index->count(); ++i) {
          const std::uint64_t offset = index->offset(i).value_or(0);
          const auto object = (*reader)->read(offset, ~std::uint64_t{0});
          EXPECT_TRUE(object && object->bytes != nullptr) << index->oid(i).hex();
          if (!object || object->bytes == nullptr) continue;
          check(index->oid(i), object->header.kind, *object->bytes);
          std::vector<std::uint8_t> streamed;
          EXPECT_TRUE((*reader)->stream(offset, [&](Bytes piece) {
            streamed.insert(streamed.end(), piece.begin(), piece.end());
            return true;
          }));
          EXPECT_EQ(streamed, *object->bytes);
          EXPECT_EQ((*reader)->header(offset)->size, streamed.size());
        }
      } else if (path.parent_path().filename().string().size() == 2) {
        const std::string bytes = file(path);
        MemorySource source(as_bytes(bytes));
        const auto header = loose_header(source);
        EXPECT_TRUE(header) << path;
        std::vector<std::uint8_t> content;
        EXPECT_TRUE(header && stream_loose(source, [&](Bytes piece) {
                      content.insert(content.end(), piece.begin(), piece.end());
                      return true;
                    }));
        const auto oid =
            Oid::from_hex(path.parent_path().filename().string() + path.filename().string());
        EXPECT_TRUE(oid && header);
        if (oid && header) check(*oid, header->kind, content);
      }
    }
    return compared;
  }

  // The index that is made here finds the same objects at the same places as Git's.
  static void compare_index(Source& pack, const PackReader::Options& options,
                            const PackIndex& git_made) {
    const auto bytes = index_pack(pack, options, git_made.count());
    EXPECT_TRUE(bytes) << bytes.error().message;
    if (!bytes) return;
    const auto made = PackIndex::open(*bytes, options.id_size);
    EXPECT_TRUE(made);
    if (!made) return;
    EXPECT_EQ(made->count(), git_made.count());
    for (std::uint32_t i = 0; i < made->count(); ++i) {
      EXPECT_EQ(made->oid(i), git_made.oid(i));
      EXPECT_EQ(made->offset(i), git_made.offset(i));
    }
    EXPECT_FALSE(index_pack(pack, options, git_made.count() - 1));
  }

  std::size_t count() const {
    std::istringstream lines(run("git cat-file --batch-all-objects --batch-check"));
    return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(lines), {}, '\n'));
  }

  fs::path folder_;
};

TEST_P(RealGit, PacksAreReadObjectByObject) {
  make_repository("");
  run(std::string("git ") + GetParam());
  EXPECT_GE(compare_all(Oid::k_sha1), count());
  EXPECT_GT(count(), 100u);
}

INSTANTIATE_TEST_SUITE_P(
    Options, RealGit,
    testing::Values("repack -adq", "repack -adfq --depth=4095 --window=50",
                    "repack -adfq --depth=0", "-c repack.useDeltaBaseOffset=false repack -adfq",
                    "-c pack.compression=0 repack -adFq", "-c pack.compression=9 repack -adFq",
                    "-c pack.indexVersion=1 repack -adfq",
                    "-c core.bigFileThreshold=1k repack -adfq",
                    "pack-objects --all --delta-islands -q r.git/objects/pack/pack </dev/null",
                    "repack -adq --write-midx --write-bitmap-index",
                    "-c pack.writeReverseIndex=true repack -adfq"));

TEST_F(RealGit, LooseObjectsAreRead) {
  make_repository("");
  run("mv r.git/objects/pack/*.pack . && rm -f r.git/objects/pack/* && "
      "for p in *.pack; do git unpack-objects -q <$p; done");
  EXPECT_EQ(compare_all(Oid::k_sha1), count());
}

TEST_F(RealGit, ThinPacksAreWholeOnceGitHasCompletedThem) {
  make_repository("");
  run("git repack -adq && printf 'main\\n^main~1\\n' | git pack-objects --revs --thin --stdout -q "
      ">thin.pack && git index-pack --stdin --fix-thin <thin.pack >/dev/null");
  EXPECT_GT(compare_all(Oid::k_sha1), count());
}

TEST_F(RealGit, Sha256RepositoriesAreRead) {
  make_repository("--object-format=sha256");
  run("git repack -adfq");
  EXPECT_EQ(compare_all(Oid::k_sha256), count());
}

} // namespace
} // namespace hubgate::git
