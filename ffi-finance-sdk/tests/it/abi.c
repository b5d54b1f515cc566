/* The simulator library as a C program sees it: the header's declarations, restated, and the
 * uses and misuses that callers of the real library are known for. argv: library, what to do. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct WeWorkFinanceSdk_t WeWorkFinanceSdk_t;
typedef struct Slice_t { char *buf; int len; } Slice_t;
typedef struct MediaData { char *outindexbuf; int out_len; char *data; int data_len; int is_finish; } MediaData_t;

static void *library;
static void *need(const char *name) {
    void *f = dlsym(library, name);
    if (!f) { fprintf(stderr, "no %s\n", name); exit(3); }
    return f;
}
#define CHECK(x) do { if (!(x)) { fprintf(stderr, "line %d: %s\n", __LINE__, #x); exit(4); } } while (0)

int main(int argc, char **argv) {
    if (argc != 3 || !(library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL))) { fprintf(stderr, "%s\n", dlerror()); return 2; }
    const char *what = argv[2];
    WeWorkFinanceSdk_t *(*NewSdk)(void) = need("NewSdk");
    int (*Init)(WeWorkFinanceSdk_t *, const char *, const char *) = need("Init");
    int (*GetChatData)(WeWorkFinanceSdk_t *, unsigned long long, unsigned int, const char *, const char *, int, Slice_t *) = need("GetChatData");
    int (*DecryptData)(const char *, const char *, Slice_t *) = need("DecryptData");
    int (*GetMediaData)(WeWorkFinanceSdk_t *, const char *, const char *, const char *, const char *, int, MediaData_t *) = need("GetMediaData");
    void (*DestroySdk)(WeWorkFinanceSdk_t *) = need("DestroySdk");
    Slice_t *(*NewSlice)(void) = need("NewSlice");
    void (*FreeSlice)(Slice_t *) = need("FreeSlice");
    char *(*GetContentFromSlice)(Slice_t *) = need("GetContentFromSlice");
    int (*GetSliceLen)(Slice_t *) = need("GetSliceLen");
    MediaData_t *(*NewMediaData)(void) = need("NewMediaData");
    void (*FreeMediaData)(MediaData_t *) = need("FreeMediaData");
    char *(*GetOutIndexBuf)(MediaData_t *) = need("GetOutIndexBuf");
    char *(*GetData)(MediaData_t *) = need("GetData");
    int (*GetIndexLen)(MediaData_t *) = need("GetIndexLen");
    int (*GetDataLen)(MediaData_t *) = need("GetDataLen");
    int (*IsMediaDataFinish)(MediaData_t *) = need("IsMediaDataFinish");

    WeWorkFinanceSdk_t *sdk = NewSdk();
    Slice_t *slice = NewSlice();
    MediaData_t *media = NewMediaData();
    CHECK(sdk && slice && media);
    if (!strcmp(what, "free-slice-twice")) { FreeSlice(slice); FreeSlice(slice); return 0; }
    if (!strcmp(what, "free-media-twice")) { FreeMediaData(media); FreeMediaData(media); return 0; }
    if (!strcmp(what, "destroy-twice")) { DestroySdk(sdk); DestroySdk(sdk); return 0; }
    if (!strcmp(what, "use-after-free")) { FreeSlice(slice); return GetSliceLen(slice); }
    if (!strcmp(what, "use-after-destroy")) { DestroySdk(sdk); return Init(sdk, "wwtape", "tape-secret"); }
    if (!strcmp(what, "wrong-kind")) { FreeSlice((Slice_t *)media); return 0; }

    /* NULLs */
    CHECK(Init(NULL, "a", "b") == 10000);
    CHECK(Init(sdk, NULL, NULL) == 10000);
    CHECK(Init(sdk, "", "x") == 10000);
    CHECK(GetChatData(sdk, 0, 1, "", "", 5, slice) == 10000); /* before Init */
    CHECK(Init(sdk, "wwtape", "tape-secret") == 0);
    CHECK(GetChatData(NULL, 0, 1, "", "", 5, slice) == 10000);
    CHECK(GetChatData(sdk, 0, 1, "", "", 5, NULL) == 10000);
    CHECK(GetChatData(sdk, 0, 1, NULL, NULL, 5, slice) == 0);
    CHECK(GetChatData(sdk, 0, 0, "", "", 5, slice) == 10000);
    CHECK(GetChatData(sdk, 0, 1001, "", "", 5, slice) == 10000);
    CHECK(GetSliceLen(slice) == 0);
    CHECK(DecryptData(NULL, NULL, slice) == 10008);
    CHECK(DecryptData("key", "0123456789abcdef", slice) == 10008);
    CHECK(DecryptData("key", "0123456789abcdef", NULL) == 10000);
    CHECK(GetMediaData(sdk, "", "id", "", "", 5, NULL) == 10000);
    CHECK(GetMediaData(NULL, "", "id", "", "", 5, media) == 10000);
    FreeSlice(NULL); FreeMediaData(NULL); DestroySdk(NULL);
    CHECK(GetSliceLen(NULL) == 0 && GetContentFromSlice(NULL) == NULL && IsMediaDataFinish(NULL) == 0);

    /* fields, lengths and terminators; one slice for two calls */
    for (unsigned limit = 1; limit <= 2; limit++) {
        CHECK(GetChatData(sdk, 0, limit, "", "", 5, slice) == 0);
        CHECK(slice->buf == GetContentFromSlice(slice) && slice->len == GetSliceLen(slice));
        CHECK(strlen(slice->buf) == (size_t)slice->len);
        CHECK(strstr(slice->buf, "\"errcode\":0"));
    }

    /* a download with one object, whose own index is passed back, from NULL on */
    int total = 0, chunks = 0;
    do {
        CHECK(GetMediaData(sdk, GetOutIndexBuf(media), "id", NULL, NULL, 5, media) == 0);
        CHECK(media->outindexbuf && media->outindexbuf == GetOutIndexBuf(media));
        CHECK(strlen(media->outindexbuf) == (size_t)media->out_len && media->out_len == GetIndexLen(media));
        CHECK(media->data == GetData(media) && media->data_len == GetDataLen(media));
        CHECK(media->is_finish == IsMediaDataFinish(media));
        for (int i = 0; i < media->data_len; i++) CHECK((unsigned char)media->data[i] == (total + i) % 253);
        total += media->data_len;
        chunks++;
    } while (!media->is_finish);
    CHECK(total == 600000 && chunks == 2 && media->out_len == 0);

    FreeMediaData(media);
    FreeSlice(slice);
    DestroySdk(sdk);
    puts("fine");
    return 0;
}
