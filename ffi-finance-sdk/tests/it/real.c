/* Tencent's own library, asked what wecom-sdk.md 14 says that it does. argv: library, question.
 * Run it without a network: it contacts WeCom otherwise. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Sdk Sdk;
typedef struct Slice Slice;
typedef struct Media Media;

static void *library;
static void *need(const char *name) {
    void *f = dlsym(library, name);
    if (!f) { fprintf(stderr, "no %s\n", name); exit(3); }
    return f;
}
#define CHECK(x) do { if (!(x)) { fprintf(stderr, "line %d: %s\n", __LINE__, #x); exit(4); } } while (0)

int main(int argc, char **argv) {
    if (argc != 3 || !(library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL))) { fprintf(stderr, "%s\n", dlerror()); return 2; }
    Sdk *(*NewSdk)(void) = need("NewSdk");
    int (*Init)(Sdk *, const char *, const char *) = need("Init");
    int (*GetChatData)(Sdk *, unsigned long long, unsigned int, const char *, const char *, int, Slice *) = need("GetChatData");
    int (*DecryptData)(const char *, const char *, Slice *) = need("DecryptData");
    int (*GetMediaData)(Sdk *, const char *, const char *, const char *, const char *, int, Media *) = need("GetMediaData");
    void (*DestroySdk)(Sdk *) = need("DestroySdk");
    Slice *(*NewSlice)(void) = need("NewSlice");
    void (*FreeSlice)(Slice *) = need("FreeSlice");
    int (*GetSliceLen)(Slice *) = need("GetSliceLen");
    Media *(*NewMediaData)(void) = need("NewMediaData");
    void (*FreeMediaData)(Media *) = need("FreeMediaData");
    need("GetContentFromSlice"); need("GetOutIndexBuf"); need("GetData");
    need("GetIndexLen"); need("GetDataLen"); need("IsMediaDataFinish");

    Sdk *sdk = NewSdk();
    Slice *slice = NewSlice();
    Media *media = NewMediaData();
    CHECK(sdk && slice && media);
    const char *what = argv[2], *key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
    if (!strcmp(what, "decrypt-short")) return DecryptData(key, "QUFB", slice);
    if (!strcmp(what, "decrypt-empty")) return DecryptData(key, "", slice);
    if (!strcmp(what, "destroy-twice")) { DestroySdk(sdk); DestroySdk(sdk); return 0; }
    CHECK(Init(sdk, "", "secret") == 10000);
    CHECK(Init(sdk, "ww0000000000000000", "") == 10000);
    CHECK(Init(sdk, "ww0000000000000000", "no-secret") == 0);
    CHECK(GetChatData(sdk, 0, 1001, "", "", 5, slice) == 10000);
    CHECK(GetChatData(sdk, 0, 1000, "", "", 5, slice) == 10001);
    CHECK(GetSliceLen(slice) == 0);
    CHECK(GetMediaData(sdk, "", "QUFB", "", "", 5, media) == 10001);
    CHECK(DecryptData(key, "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB", slice) == 10008);
    CHECK(GetSliceLen(slice) == 0);
    FreeMediaData(media);
    FreeSlice(slice);
    DestroySdk(sdk);
    puts("as measured");
    return 0;
}
