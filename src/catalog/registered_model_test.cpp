#include "catalog/registered_model.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tessera::catalog {
namespace {

TEST(FullName, FoldsAndRefuses) {
  const FullName name = parse_full_name("Main.LLM.My_Model-2@x", "name");
  EXPECT_EQ(name.catalog, "main");
  EXPECT_EQ(name.schema, "llm");
  EXPECT_EQ(name.model, "my_model-2@x");
  for (std::string bad : {"", "a", "a.b", "a.b.c.d", "a..c", "a.b.c d", "a.b.c/d", ".b.c"}) {
    EXPECT_THROW(parse_full_name(bad, "name"), Error) << bad;
  }
  EXPECT_NO_THROW(parse_component(std::string(255, 'a'), "name"));
  EXPECT_THROW(parse_component(std::string(256, 'a'), "name"), Error);
}

TEST(Source, LocalPathsOnly) {
  EXPECT_EQ(local_path_of("/models/a b", "source"), "/models/a b");
  EXPECT_EQ(local_path_of("file:///models/a%20b", "source"), "/models/a b");
  EXPECT_EQ(local_path_of("file://localhost/m", "source"), "/m");
  EXPECT_EQ(local_path_of("file:/m", "source"), "/m");
  for (std::string bad : {"", "models/a", "s3://b/k", "file://host/m", "file:///a%zz",
                          "file:///a%00b", "https://x/y"}) {
    EXPECT_THROW(local_path_of(bad, "source"), Error) << bad;
  }
}

TEST(Notes, FlattenedReadsAsSentences) {
  ModelNotes notes;
  notes.notes = {"Embeddings are not normalised"};
  notes.license_name = "Apache-2.0";
  EXPECT_EQ(notes.flattened(), "Embeddings are not normalised. Licence: Apache-2.0.");
  EXPECT_EQ(ModelNotes{}.flattened(), "");
}

}  // namespace
}  // namespace tessera::catalog
