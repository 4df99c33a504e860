# Lines into a topic, through any filter, into another topic, and out again.
printf '%s\n' the cat and the dog and the bird | kcat-lite -P -t words
kcat-lite -C -t words -e -q | sort | uniq -c | awk '{ print $2 "\t" $1 }' | kcat-lite -P -t counts --tsv
kcat-lite -C -t counts -e -q --tsv | sort -k 2,2nr -k 1,1
# A group of readers shares a topic; each record is one member's.
kcat-lite -G readers -e -q -X auto.offset.reset=earliest words | wc -l
