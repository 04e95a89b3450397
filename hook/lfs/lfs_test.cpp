#include "hook/config.hpp"
#include "hook/lfs/batch.hpp"
#include "hook/lfs/folder.hpp"
#include "hook/lfs/s3.hpp"

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <fstream>

namespace hubgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

const std::string k_oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

HookConfig config_of(const std::string& text) {
  auto config = hook_config_from(text, "hubgate.yaml");
  EXPECT_TRUE(config) << config.error().message;
  return config ? *config : HookConfig();
}

TEST(LfsConfig, HasTheRepositorysOwnStoreByDefault) {
  for (const char* text: {"data: /d\n", "lfs: {known: read}\n"}) {
    const LfsConfig lfs = config_of(text).lfs;
    ASSERT_EQ(lfs.sources.size(), 1u);
    EXPECT_EQ(lfs.sources[0].place, "lfs/objects");
    EXPECT_FALSE(lfs.sources[0].shared);
    EXPECT_EQ(lfs.known, LfsConfig::Known::read);
    EXPECT_EQ(lfs.absent, LfsConfig::Absent::refuse);
    EXPECT_EQ(lfs.orphans, LfsConfig::Orphans::keep);
  }
}

TEST(LfsConfig, ReadsSourcesInTheirOrder) {
  const LfsConfig lfs =
      config_of(
          "lfs:\n"
          "  roots: [/srv/lfs]\n"
          "  sources:\n"
          "    - {folder: '/srv/{repo}/lfs', paths: ['{root}/{oid}']}\n"
          "    - {s3: 'http://127.0.0.1:9000/', bucket: models, region: eu-1,\n"
          "       key: 'lfs/{oid}', path_style: false, credentials: /etc/s3, hosts: [a, 'b:1']}\n"
          "    - {batch: 'https://git.invalid/{repo}.git/info/lfs', user: gate, token: /t}\n"
          "  known: accept\n"
          "  absent: pending\n"
          "  orphans: quarantine\n"
          "  max_size: 5GB\n")
          .lfs;
  ASSERT_EQ(lfs.sources.size(), 4u);
  EXPECT_TRUE(lfs.sources[0].shared);
  EXPECT_FALSE(lfs.sources[1].shared);
  EXPECT_EQ(lfs.sources[2].kind, LfsSourceConfig::Kind::s3);
  EXPECT_EQ(lfs.sources[2].place, "http://127.0.0.1:9000");
  EXPECT_FALSE(lfs.sources[2].path_style);
  EXPECT_THAT(lfs.sources[2].hosts, ElementsAre("a", "b:1"));
  EXPECT_EQ(lfs.sources[3].kind, LfsSourceConfig::Kind::batch);
  EXPECT_EQ(lfs.sources[3].user, "gate");
  EXPECT_EQ(lfs.known, LfsConfig::Known::accept);
  EXPECT_EQ(lfs.absent, LfsConfig::Absent::pending);
  EXPECT_EQ(lfs.orphans, LfsConfig::Orphans::quarantine);
  EXPECT_EQ(lfs.max_size, 5'000'000'000u);
}

TEST(LfsConfig, NamesWhatIsWrong) {
  for (const auto& [text, word]: std::vector<std::pair<std::string, std::string>>{
           {"lfs: {sources: [{}]}\n", "folder, s3 or batch"},
           {"lfs: {sources: [{folder: ''}]}\n", "must not be empty"},
           {"lfs: {sources: [{folder: a, bucket: b}]}\n", "bucket"},
           {"lfs: {sources: [{s3: 'http://a'}]}\n", "name of a bucket"},
           {"lfs: {sources: [{s3: 'ftp://a', bucket: b}]}\n", "http or https"},
           {"lfs: {sources: [{s3: 'http://a', bucket: b, key: '{root}/{oid}'}]}\n", "no template"},
           {"lfs: {sources: [{batch: 'http://u:p@a'}]}\n", "user name"},
           {"lfs: {sources: [{batch: 'a'}]}\n", "URL"},
           {"lfs: {sources: [{batch: 'http://a', hosts: ['http://b']}]}\n", "host:port"},
           {"lfs: {sources: [{batch: 'http://a', user: u}]}\n", "token"},
           {"lfs: {sources: [{folder: '/a/{repo_id}'}]}\n", "database"},
           {"lfs: {absent: maybe}\n", "absent"}}) {
    const auto config = hook_config_from(text, "hubgate.yaml");
    ASSERT_FALSE(config) << text;
    EXPECT_THAT(config.error().message, HasSubstr(word)) << text;
  }
}

// "Example: GET Object" of Amazon's "Authenticating Requests: Using the Authorization Header".
TEST(SigV4, AgreesWithThePublishedExample) {
  S3Request request;
  request.host = "examplebucket.s3.amazonaws.com";
  request.path = "/test.txt";
  request.region = "us-east-1";
  request.headers = {{"range", "bytes=0-9"}};
  request.time = 1369353600;
  const auto headers = sign_s3_get(
      request, {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""});
  EXPECT_THAT(headers,
              testing::Contains(Pair(
                  "Authorization",
                  "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                  "aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
                  "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")));
}

TEST(S3, ReadsCredentialsAndErrors) {
  const auto two = s3_credentials("# mine\n[other]\naws_access_key_id=no\n[default]\n"
                                  "aws_access_key_id = AK \r\naws_secret_access_key=s/e=c\n"
                                  "aws_session_token = t");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->access_key, "AK");
  EXPECT_EQ(two->secret_key, "s/e=c");
  EXPECT_EQ(two->session_token, "t");
  EXPECT_FALSE(s3_credentials("aws_access_key_id = AK\n"));
  EXPECT_EQ(s3_error_code("<Error><Code>NoSuchKey</Code>"), "NoSuchKey");
  EXPECT_EQ(s3_error_code("<Error><Code>No\x1b[2J</Code>"), "");
  EXPECT_EQ(s3_error_code("<Code>unfinished"), "");
}

std::string answer(const std::string& object) {
  return R"({"objects":[{"oid":")" + k_oid + R"(","size":3,)" + object + "}]}";
}

TEST(Batch, ReadsALinkWithItsHeaders) {
  const auto read = read_batch_answer(
      answer(R"("actions":{"download":{"href":"https://a/b","header":{"Authorization":"x",
              "Host":"evil","X-Y":"a\r\nb","Bad Name":"c","Range":"bytes=0-1"}}})"),
      k_oid);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->href, "https://a/b");
  EXPECT_THAT(read->headers, ElementsAre(Pair("Authorization", "x")));
}

TEST(Batch, KnowsAbsentFromFailed) {
  EXPECT_TRUE(read_batch_answer(answer(R"("error":{"code":404})"), k_oid)->absent);
  EXPECT_TRUE(read_batch_answer(answer(R"("error":{"code":410})"), k_oid)->absent);
  for (const auto& text:
       {answer(R"("error":{"code":403})"), answer(R"("error":{})"), answer(R"("actions":{})"),
        answer(R"("error":{"code":"404"})"), std::string("{}"), std::string("[]"),
        std::string("no"), std::string(R"({"objects":[]})"),
        R"({"transfer":"ssh",)" + answer(R"("error":{"code":404})").substr(1),
        R"({"hash_algo":"sha512",)" + answer(R"("error":{"code":404})").substr(1)})
    EXPECT_FALSE(read_batch_answer(text, k_oid)) << text;
  EXPECT_FALSE(read_batch_answer(answer(R"("error":{"code":404})"), std::string(64, 'b')));
  EXPECT_FALSE(read_batch_answer(std::string(5000, '['), k_oid));
}

TEST(Http, TellsOriginsApart) {
  const auto origin = http_origin("HTTPS://Git.Invalid/x?y");
  ASSERT_TRUE(origin);
  EXPECT_EQ(*origin, (HttpOrigin{"https", "git.invalid", "443"}));
  for (const char* bad: {"ftp://a/", "file:///etc/passwd", "//a/b", "/a", "", "http://u@a/",
                         "http://a\n/", "gopher://a"})
    EXPECT_FALSE(http_origin(bad)) << bad;
  HttpClient::Options options;
  options.hosts = {"a", "b:8080"};
  const HttpClient client(options);
  EXPECT_TRUE(client.names({"https", "a", "443"}));
  EXPECT_TRUE(client.names({"http", "a", "80"}));
  EXPECT_TRUE(client.names({"http", "b", "8080"}));
  EXPECT_FALSE(client.names({"http", "a", "8080"}));
  EXPECT_FALSE(client.names({"http", "b", "80"}));
  EXPECT_FALSE(client.names({"http", "c.a", "80"}));
  EXPECT_EQ(percent_encoded("a b/c%\xc3", true), "a%20b/c%25%C3");
  EXPECT_EQ(percent_encoded("a/b", false), "a%2Fb");
}

class Files : public testing::Test {
protected:
  Files() {
    std::string pattern = testing::TempDir() + "lfs-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~Files() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text, unsigned mode = 0600) {
    const auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
    return path.string();
  }
  LfsWorld world(const std::string& repo = "team/model") {
    LfsWorld out;
    out.git_dir = folder_ / "repo.git";
    out.repo = repo;
    return out;
  }
  std::filesystem::path folder_;
};

TEST_F(Files, SecretsOfEverybodyAreRefused) {
  EXPECT_EQ(*read_secret(write("token", "abc\r\n")), "abc");
  EXPECT_EQ(*read_secret(write("group", "abc", 0640)), "abc");
  EXPECT_THAT(read_secret(write("open", "abc", 0644)).error().message, HasSubstr("everybody"));
  EXPECT_THAT(read_secret(write("none", "\n")).error().message, HasSubstr("empty"));
  EXPECT_FALSE(read_secret((folder_ / "missing").string()));
  EXPECT_FALSE(read_secret(folder_.string()));
}

TEST_F(Files, PlacesNameTheRepository) {
  LfsSourceConfig source;
  source.place = (folder_ / "{repo}/{repo_id}").string();
  source.paths = {"{root}/{0:2}/{oid}"};
  EXPECT_THAT(lfs_places(source, world(), "7", k_oid),
              ElementsAre((folder_ / "team/model/7/4d" / k_oid).string()));
  source.place = "lfs/objects";
  EXPECT_THAT(lfs_places(source, world(), "", k_oid),
              ElementsAre((folder_ / "repo.git/lfs/objects/4d" / k_oid).string()));
}

TEST_F(Files, NamesThatClimbOutAreNoPath) {
  LfsConfig config = default_lfs_config();
  config.sources[0].place = "/srv/{repo}";
  for (const char* repo: {"../x", "a/../b", "/abs", "", "a//b", "a/.", "{repo_id}", "a\nb"}) {
    const auto made = make_lfs_sources(config, world(repo));
    EXPECT_FALSE(made) << repo;
  }
  EXPECT_TRUE(make_lfs_sources(config, world("a..b/c")));
  config.sources[0].place = "/srv/lfs";
  EXPECT_TRUE(make_lfs_sources(config, world("../x")));
}

TEST_F(Files, AFolderGivesWhatIsThereAndFollowsNoLink) {
  LfsSourceConfig source;
  source.place = folder_.string();
  LfsFolder store(source, world(), "");
  EXPECT_FALSE(store.fetch({k_oid, {}})->file);
  const std::string path = write("4d/7a/" + k_oid, "bytes");
  EXPECT_TRUE(store.fetch({k_oid, {}})->file);
  EXPECT_EQ((*store.find(k_oid))->first, path);
  std::filesystem::rename(path, folder_ / "elsewhere");
  std::filesystem::create_symlink(folder_ / "elsewhere", path);
  EXPECT_FALSE(store.fetch({k_oid, {}})->file);
  EXPECT_THAT(store.name(), HasSubstr(folder_.string()));
}

TEST_F(Files, SoftServesNumberComesFromItsDatabase) {
  const std::string database = (folder_ / "soft-serve.db").string();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(database.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db,
                         "CREATE TABLE repos(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
                         "INSERT INTO repos VALUES(3, 'other'), (12, 'team/model');",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  EXPECT_EQ(*soft_serve_repository(database, "team/model"), "12");
  EXPECT_THAT(soft_serve_repository(database, "x").error().message, HasSubstr("no repository x"));
  EXPECT_FALSE(soft_serve_repository((folder_ / "missing.db").string(), "x"));
}

} // namespace
} // namespace hubgate
