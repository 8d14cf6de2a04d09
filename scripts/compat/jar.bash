# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# jar: `hadoop jar`, read by `hadoop` beside it: Hadoop's examples, its streaming and the benchmarks of its tests by name, each
# as the job here that does the same, with arguments, console and what is left behind as there. Needs $quern, $me, die and log.
# A program that Hadoop has and that is not here says why, and what there is instead.

# Options that stand before a program's own arguments: settings go to quern run, files for the JVM
# mean nothing to it. Sets `settings`, `rest` and `reduces`.
generic() {
    settings=() rest=() reduces=1
    while [ $# -gt 0 ]; do
        case $1 in
        -D) define "${2:?-D needs key=value}"; shift 2 ;;
        -D*) define "${1#-D}"; shift ;;
        -conf | -fs) settings+=("$1" "${2:?$1 needs a value}"); shift 2 ;;
        -jt) shift 2 ;;
        -files) settings+=(-files "${2:?-files needs a list}"); shift 2 ;;
        -archives) settings+=(-archives "${2:?-archives needs a list}"); shift 2 ;;
        -libjars) echo "$me: $1 is for Java programs: ignored" >&2; shift 2 ;;
        *) rest=("$@"); return ;;
        esac
    done
}
define() {
    case $1 in
    mapreduce.job.reduces=* | mapred.reduce.tasks=*) reduces=${1#*=} ;;
    *) settings+=(-D "$1") ;;
    esac
}

# What scripts look for when a job is refused.
as_hadoop() {
    sed -E 's/^quern run: (.*) exists already \(.*/Output directory \1 already exists/
            s/^quern run: no option (-[^ ]*) \(did you mean (-stream with )?(-[^?]*)\?.*/Unrecognized option: \1 (did you mean \3?)/
            s/^quern run: no option (-[^ ]*) .*/Unrecognized option: \1/
            s/^quern run: -file (.*): No such file or directory$/File does not exist: \1/
            s/^quern run: (.*): No such file or directory$/Input path does not exist: \1/'
}
# Submits a job and sets `job_id`.
submit_job() {
    job_id=$({ "$quern" run -detach -reduces "$reduces" ${settings[@]+"${settings[@]}"} "$@" 2>&1 >&3 | as_hadoop >&2; } 3>&1) || return 1
    log "Running job: $job_id"
}
# Runs a job as Hadoop's console shows one; 0 when it succeeded.
run_job() { submit_job "$@" && watch_job; }
watch_job() {
    local id=$job_id last="" now state
    while :; do
        state=$("$quern" job -status "$id") || return 1
        now=$(awk '$3 == "tasks" { p[$1] = $2 ? int(100 * $4 / $2) : 0 }
                   END { printf " map %d%% reduce %d%%", p["map"], p["reduce"] }' <<<"$state")
        [ "$now" = "$last" ] || log "$now"
        last=$now
        case $(awk '$1 == "state" { sub(",", "", $2); print $2; exit }' <<<"$state") in
        succeeded) log "Job $id completed successfully"; break ;;
        failed | killed)
            log "Job $id failed with state $(awk '$1 == "state" { sub(",", "", $2); print toupper($2) }' <<<"$state") due to: $("$quern" job -wait "$id" 2>&1 | head -n 1)"
            return 1 ;;
        esac
        sleep 0.2
    done
    log "$(awk '/^Counters:/ { is_on = 1 } is_on && !/^Counters:|^\t/ { exit } is_on' <<<"$state")"
}

programs() {
    cat <<'EOF'
Valid program names are:
  aggregatewordcount: An Aggregate based map/reduce program that counts the words in the input files.
  aggregatewordhist: An Aggregate based map/reduce program that computes the histogram of the words in the input files.
  grep: A map/reduce program that counts the matches of a regex in the input.
  join: A job that effects a join over sorted, equally partitioned datasets
  multifilewc: A job that counts words from several files.
  pi: A map/reduce program that estimates Pi using a quasi-Monte Carlo method.
  randomtextwriter: A map/reduce program that writes random textual data.
  randomwriter: A map/reduce program that writes random data.
  secondarysort: An example defining a secondary sort to the reduce.
  sort: A map/reduce program that sorts the lines of the input.
  teragen: Generate data for the terasort
  terasort: Run the terasort
  teravalidate: Checking results of terasort
  wordcount: A map/reduce program that counts the words in the input files.
  wordmean: A map/reduce program that counts the average length of the words in the input files.
  wordmedian: A map/reduce program that counts the median length of the words in the input files.
  wordstandarddeviation: A map/reduce program that counts the standard deviation of the length of the words in the input files.
EOF
    exit "${1:-255}"
}
# Examples that Hadoop has and this cluster has not: why, and what there is instead.
no_example() {
    case $1 in
    dbcount) die "dbcount: it counts in a database of its own, written in Java: there is none here" ;;
    bbp | distbbp) die "$1: digits of Pi by a formula of Java's example; \`hadoop jar $2 pi MAPS SAMPLES\` estimates it" ;;
    pentomino | sudoku) die "$1: a puzzle of Java's example, solved without data: not here" ;;
    *) echo "Unknown program '$1' chosen."; programs ;;
    esac
}

# Hadoop's grep is two jobs: count what matches, then order by count. Matches are few: the second
# half happens here.
example_grep() {
    [ ${#rest[@]} -eq 3 ] || [ ${#rest[@]} -eq 4 ] || { echo "Grep <inDir> <outDir> <regex> [<group>]" >&2; exit 2; }
    local out=${rest[1]} found
    "$quern" fs -test -e "$out" && die "Output directory $out already exists"
    found=grep-temp-$$-$RANDOM
    settings+=(-D "grep.pattern=${rest[2]}" -D "grep.group=${rest[3]:-0}")
    run_job grep "${rest[0]}" "$found" || { "$quern" fs -rm -r -f -skipTrash "$found" >/dev/null; exit 1; }
    "$quern" fs -mkdir -p "$out" &&
        "$quern" fs -cat "$found/part-*" | awk -F '\t' '{ n = $NF; sub(/\t[^\t]*$/, ""); print n "\t" $0 }' |
        LC_ALL=C sort -s -t "$(printf '\t')" -k 1,1nr | "$quern" fs -put - "$out/part-r-00000" &&
        "$quern" fs -touchz "$out/_SUCCESS"
    local rc=$?
    "$quern" fs -rm -r -f -skipTrash "$found" >/dev/null
    exit $rc
}

# Its points are Hadoop's, and so is the answer.
example_pi() {
    local maps=${rest[0]:-} samples=${rest[1]:-} out begin i
    if [ ${#rest[@]} -ne 2 ] || ! [[ $maps$samples =~ ^[0-9]+$ ]]; then
        echo "Usage: org.apache.hadoop.examples.QuasiMonteCarlo <nMaps> <nSamples>" >&2
        exit 2
    fi
    printf 'Number of Maps  = %s\nSamples per Map = %s\n' "$maps" "$samples"
    for ((i = 0; i < maps; i++)); do echo "Wrote input for Map #$i"; done
    echo "Starting Job"
    out=pi-temp-$$-$RANDOM
    begin=$(date +%s%N)
    settings+=(-D "pi.rows=$((maps * samples))" -D "mapreduce.job.maps=$maps")
    run_job pi "$out" || { "$quern" fs -rm -r -f -skipTrash "$out" >/dev/null; exit 1; }
    awk -v ns=$(($(date +%s%N) - begin)) 'BEGIN { printf "Job Finished in %.3f seconds\n", ns / 1e9 }'
    "$quern" fs -cat "$out/part-r-00000"
    local rc=$?
    "$quern" fs -rm -r -f -skipTrash "$out" >/dev/null
    exit $rc
}

# How long the words are, by the job wordcount over their lengths: few lines, of which the rest is made here.
example_lengths() {
    [ ${#rest[@]} -eq 2 ] || { echo "Usage: ${name} <in> <out>"; exit 0; }
    local out=${rest[1]} found=lengths-temp-$$-$RANDOM program said=""
    "$quern" fs -test -e "$out" && die "Output directory $out already exists"
    run_job -stream -name "$name" -mapper "LC_ALL=C awk '{ for (i = 1; i <= NF; i++) n[length(\$i)]++ } END { for (l in n) print l \"\\t\" n[l] }'" \
        -reducer "awk -F '\\t' '{ n[\$1] += \$2 } END { for (l in n) print l \"\\t\" n[l] }'" "${rest[0]}" "$found" ||
        { "$quern" fs -rm -r -f -skipTrash "$found" >/dev/null; exit 1; }
    # Numbers as Java prints them: the fewest digits that say it, and a point.
    local java='function java(x, p, s) { for (p = 1; p < 17 && (s = sprintf("%." p "g", x)) + 0 != x; p++); s = sprintf("%." p "g", x)
                                         return s ~ /[.en]/ ? s : s ".0" }'
    case $name in
    wordmean) program='{ n += $2; sum += $1 * $2 } END { printf "count\t%d\nlength\t%d\n", n, sum
                         print "The mean is: " (n ? java(sum / n) : "NaN") > "/dev/stderr" }' ;;
    wordstandarddeviation) program='{ n += $2; sum += $1 * $2; squares += $1 * $1 * $2 }
                         END { printf "count\t%d\nlength\t%d\nsquare\t%d\n", n, sum, squares
                         print "The standard deviation is: " (n ? java(sqrt(squares / n - (sum / n) ^ 2)) : "NaN") > "/dev/stderr" }' ;;
    wordmedian) program='{ print $1 "\t" $2; length_of[NR] = $1; n += $2; below[NR] = n }
                         END { for (i = 1; i <= NR; i++) if (below[i] >= n / 2) { print "The median is: " length_of[i] > "/dev/stderr"; exit } }' ;;
    esac
    "$quern" fs -mkdir -p "$out" && { said=$({ "$quern" fs -cat "$found/part-*" | sort -n | awk -F '\t' "$java $program" |
        "$quern" fs -put - "$out/part-r-00000"; } 2>&1) && "$quern" fs -touchz "$out/_SUCCESS"; }
    local rc=$?
    [ -z "$said" ] || echo "$said"
    "$quern" fs -rm -r -f -skipTrash "$found" >/dev/null
    exit $rc
}

# Their size is in bytes there: so many for each map, of which there are so many for each host.
example_random() {
    [ ${#rest[@]} -eq 1 ] || { echo "Usage: $name <out-dir>"; exit 2; }
    local bytes=1073741824 maps=10 each=$1 word kept=()
    for word in ${settings[@]+"${settings[@]}"}; do
        case $word in
        *.bytespermap=*) bytes=${word#*=} ;;
        *.totalbytes=*) bytes=${word#*=} maps=1 ;;
        *.mapsperhost=*) maps=${word#*=} ;;
        *) kept+=("$word"); continue ;;
        esac
        unset 'kept[-1]' # its -D
    done
    settings=(${kept[@]+"${kept[@]}"})
    settings+=(-D "$name.rows=$((bytes * maps / each + 1))" -D "mapreduce.job.maps=$maps")
    run_job "$name" "${rest[0]}"
}

# Words, by streaming and what it adds up. The third word is how many reducers, the fourth what files hold.
example_aggregate() {
    local mapper='{ for (i = 1; i <= NF; i++) print "LongValueSum:" $i "\t1" }'
    [ ${#rest[@]} -ge 2 ] || { echo "usage: inputDirs outDir [numOfReducer [textinputformat|seq [specfile [jobName]]]]"; exit 1; }
    case ${rest[3]:-textinputformat} in
    textinputformat) ;;
    *) die "$name: \"${rest[3]}\" is not text: files of Java's are not read here (add 1 textinputformat)" ;;
    esac
    [ "$name" = aggregatewordcount ] || mapper='{ for (i = 1; i <= NF; i++) print "ValueHistogram:WORD_HISTOGRAM\t" $i }'
    reduces=${rest[2]:-$reduces}
    run_job -stream -name "${rest[5]:-$name}" -mapper "LC_ALL=C awk '$mapper'" -reducer aggregate "${rest[0]}" "${rest[1]}"
}

# Its lines are in one order over all files always, which is what -totalOrder asks for there.
example_sort() {
    set -- ${rest[@]+"${rest[@]}"}
    while [ $# -gt 2 ]; do
        case $1 in
        -r) reduces=$2; shift 2 ;;
        -totalOrder) shift $(($# < 4 ? $# : 4)) ;;
        -inFormat | -outFormat | -outKey | -outValue)
            case $2 in
            *Text | *.Text[IO]*putFormat | Text[IO]*putFormat) shift 2 ;;
            *) die "sort $1 $2: lines of text are sorted here, as TextInputFormat and TextOutputFormat have them" ;;
            esac ;;
        *) break ;;
        esac
    done
    [ $# -eq 2 ] || { echo "sort [-r <reduces>] [-totalOrder <pcnt> <num samples> <max splits>] <input> <output>"; exit 2; }
    [[ $reduces =~ ^[1-9][0-9]*$ ]] || die "sort -r $reduces: how many reducers?"
    run_job sort "$@"
}

join_usage() {
    [ -z "${1:-}" ] || echo "ERROR: $1"
    echo "join [-r <reduces>] [-inFormat <input format class>] [-outFormat <output format class>] [-outKey <output key class>]" \
        "[-outValue <output value class>] [-joinOp <inner|outer|override>] [input]* <input> <output>"
    exit 2
}
# As the mapper is told of a file: without its filesystem, from the root on.
path_from_root() {
    local path=$1
    [[ $path =~ ^[a-z]+://[^/]*(.*)$ ]] && path=${BASH_REMATCH[1]:-/}
    case $path in /*) ;; *) path=/user/${HADOOP_USER_NAME:-$(id -un)}/$path ;; esac
    realpath -ms -- "$path"
}
# Lines of key TAB value of several inputs, which need no order here: each value of a key beside each of the others',
# "key TAB [left,right]", nothing where an input has none (outer), or those alone of the last input that has any (override).
# A mapper puts the number of its input behind the key, so that a reducer gets them in this order.
example_join() {
    local op=inner output words=() inputs=() sources="" word began=$SECONDS
    set -- ${rest[@]+"${rest[@]}"}
    while [ $# -gt 0 ]; do
        case $1 in -r | -inFormat | -outFormat | -outKey | -outValue | -joinOp) [ $# -gt 1 ] || join_usage "Required parameter missing from $1" ;; esac
        case $1 in
        -r) [[ $2 =~ ^[0-9]+$ ]] || join_usage "Integer expected instead of $2"; reduces=$((10#$2 > 0 ? 10#$2 : 1)); shift ;;
        -joinOp) op=$2; shift ;;
        -inFormat) case $2 in *KeyValueTextInputFormat) shift ;; *) die "join -inFormat $2: lines of text are joined here, as KeyValueTextInputFormat has them" ;; esac ;;
        -outFormat) case $2 in *.TextOutputFormat | TextOutputFormat) shift ;; *) die "join -outFormat $2: lines of text are left here, as TextOutputFormat has them" ;; esac ;;
        -outKey | -outValue) shift ;;
        *) words+=("$1") ;;
        esac
        shift
    done
    case $op in inner | outer | override) ;; *) die "join -joinOp $op: inner, outer or override" ;; esac
    [ ${#words[@]} -ge 2 ] || join_usage "Wrong number of parameters: "
    output=${words[-1]}
    unset 'words[-1]'
    for word in "${words[@]}"; do # what is named twice is read once, and counts for both
        case $word in *[*?[{]*) die "join $word: each input is one path here" ;; esac
        word=$(path_from_root "$word")
        case $'\n'$sources in *$'\n'"$word"$'\n'*) ;; *) inputs+=(-input "$word") ;; esac
        sources+=$word$'\n'
    done
    echo "Job started: $(date)"
    settings+=(-D mapreduce.partition.keycomparator.options="-k1,1 -k2,2n" -D mapreduce.partition.keypartitioner.options=-k1,1
        -D mapreduce.job.output.key.comparator.class=KeyFieldBasedComparator -D stream.num.map.output.key.fields=2)
    run_job -stream -name join -partitioner KeyFieldBasedPartitioner -cmdenv JOIN_OP="$op" -cmdenv JOIN_COUNT="${#words[@]}" \
        -D join.sources="${sources%$'\n'}" -mapper "LC_ALL=C awk '
        BEGIN { n = split(ENVIRON[\"join_sources\"], all, \"\\n\"); path = ENVIRON[\"mapreduce_map_input_file\"]
                for (i = 1; i <= n; i++) if (path == all[i] || all[i] == \"/\" || index(path, all[i] \"/\") == 1) own[++count] = i }
        { tab = index(\$0, \"\\t\"); key = tab ? substr(\$0, 1, tab - 1) : \$0; value = tab ? substr(\$0, tab + 1) : \"\"
          for (i = 1; i <= count; i++) print key \"\\t\" own[i] \"\\t\" value }'" -reducer "LC_ALL=C awk '
        function cross(i, text,   k) {
            if (i > n) { print last \"\\t[\" substr(text, 2) \"]\"; return }
            for (k = 1; k <= has[i]; k++) cross(i + 1, text \",\" of[i, k])
            if (!has[i]) cross(i + 1, text \",\")
        }
        function tell(   i, k, some) {
            for (i = 1; i <= n; i++) some += has[i] > 0
            if (op == \"override\") { for (i = n; !has[i]; i--); for (k = 1; k <= has[i]; k++) print last \"\\t\" of[i, k] }
            else if (op == \"outer\" || some == n) cross(1, \"\")
            split(\"\", has); split(\"\", of)
        }
        BEGIN { n = ENVIRON[\"JOIN_COUNT\"] + 0; op = ENVIRON[\"JOIN_OP\"] }
        { tab = index(\$0, \"\\t\"); key = substr(\$0, 1, tab - 1); rest = substr(\$0, tab + 1); tab = index(rest, \"\\t\")
          if (NR > 1 && key != last) tell()
          last = key; i = substr(rest, 1, tab - 1) + 0; of[i, ++has[i]] = substr(rest, tab + 1) }
        END { if (NR) tell() }'" "${inputs[@]}" -output "$output" || exit 1
    printf 'Job ended: %s\nThe job took %d seconds.\n' "$(date)" $((SECONDS - began))
}

# Pairs of numbers in order, a line between those that begin alike.
example_secondarysort() {
    [ ${#rest[@]} -eq 2 ] || { echo "Usage: secondarysort <in> <out>"; exit 2; }
    settings+=(-D mapreduce.partition.keycomparator.options="-k1,1n -k2,2n" -D mapreduce.partition.keypartitioner.options=-k1,1
        -D mapreduce.job.output.key.comparator.class=KeyFieldBasedComparator -D stream.num.map.output.key.fields=2
        -D stream.reduce.output.field.separator=$'\x01' -D mapreduce.output.textoutputformat.separator=)
    run_job -stream -name secondarysort -partitioner KeyFieldBasedPartitioner -mapper "awk 'NF { print int(\$1) \"\t\" int(\$2) }'" -reducer \
        "awk -F '\t' '\$1 != last || NR == 1 { print \"------------------------------------------------\" } { last = \$1; print \$1 \"\t\" \$2 }'" \
        "${rest[0]}" "${rest[1]}"
}

# A job of the old interface leaves part-00000, and its readers look for that name.
old_names() {
    local path
    "$quern" fs -ls -C "$1/part-[mr]-*" 2>/dev/null | while IFS= read -r path; do
        "$quern" fs -mv "$path" "${path/%part-[mr]-${path##*-}/part-${path##*-}}"
    done
}

streaming_usage() {
    cat <<'EOF'
Usage: mapred streaming [generic options] [options]
Options:
  -input     <path>   input of the map step; may be given more than once
  -output    <path>   where the results go; must not be there yet
  -mapper    <cmd>    the mapper: reads lines, writes lines of key TAB value
  -combiner  <cmd>    run on a mapper's lines before they travel
  -reducer   <cmd>    the reducer, or NONE: reads lines in the order of their keys
  -file      <file>   sent along with the job (-files FILE,FILE does the same)
  -numReduceTasks N   how many reducers; one if not said
  -cmdenv    N=V      a variable of the commands' environment
Generic options: -D key=value, -conf FILE, -fs URI, -files LIST
EOF
}
# As Hadoop: one reducer unless told otherwise.
streaming() {
    local word said
    is_help "${1:-}" || [ "${1:-}" = -info ] && { streaming_usage; exit 0; }
    [ $# -gt 0 ] || { echo "No Arguments Given!" >&2; streaming_usage >&2; exit 1; }
    generic "$@"
    for word in input output; do
        case " $* " in
        *" -$word "*) ;;
        *) # it may be there, but spelt wrong
            said=$("$quern" run -stream -help ${rest[@]+"${rest[@]}"} 2>&1 >/dev/null) || { as_hadoop <<<"$said" >&2; exit 1; }
            echo "Required argument: -$word <name>" >&2; echo "Try -help for more information" >&2; exit 1 ;;
        esac
    done
    local i out
    for ((i = 0; i + 1 < ${#rest[@]}; i++)); do
        case ${rest[i]} in
        -output) out=${rest[i + 1]} ;;
        -jobconf | -D) case ${rest[i + 1]} in mapred.reduce.tasks=* | mapreduce.job.reduces=*) reduces=${rest[i + 1]#*=} ;; esac ;;
        esac
    done
    case " ${rest[*]} " in
    *" -background "*) # its files get their names when it is done
        submit_job -stream ${rest[@]+"${rest[@]}"} || exit 1
        (trap '' HUP; watch_job && old_names "${out:-}") </dev/null >/dev/null 2>&1 &
        log "Job is running in background."
        exit 0 ;;
    esac
    run_job -stream ${rest[@]+"${rest[@]}"} || exit 1
    old_names "${out:-}"
    log "Output directory: ${out:-}"
    exit 0
}

# --- the jar of tests: its benchmarks ---------------------------------------------------------

# Bytes of 5, 5MB, 5GB.
bytes_of() {
    local number=${1%%[!0-9]*} unit
    unit=${1#"$number"}
    [ -n "$number" ] || return 1
    case ${unit^^} in
    '' | B) echo "$number" ;;
    K | KB) echo $((number << 10)) ;;
    M | MB) echo $((number << 20)) ;;
    G | GB) echo $((number << 30)) ;;
    T | TB) echo $((number << 40)) ;;
    *) return 1 ;;
    esac
}

dfsio_log() { echo "$(date '+%Y-%m-%d %H:%M:%S,%3N') INFO fs.TestDFSIO: $*" >&2; }

dfsio_usage() {
    echo "Usage: TestDFSIO [genericOptions] -read | -write | -clean [-nrFiles N] [-size Size[B|KB|MB|GB|TB]] [-resFile resultFileName] [-bufferSize Bytes]" >&2
    exit 255
}

# What each map task of a job wrote or read, and how long that took: ms and bytes, a line each.
dfsio_tasks() {
    "$quern" job -history "$1" --json | sed 's/"attempt":/\n&/g;s/"stage":"/\n&/g' | awk -v field="$2" '
        function number(key) { return match($0, "\"" key "\":[0-9]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : 0 }
        /^"stage"/ { is_map = /^"stage":"map"/ }
        is_map && /"winner":true/ { print number("total") / 1000, number(field) }'
}

# The table that scripts read, on the console and at the end of a file.
dfsio_result() {
    local kind=$1 tasks=$2 ms=$3 file=$4
    awk -v kind="$kind" -v exec_ms="$ms" -v date="$(LC_ALL=C date '+%a %b %d %T %Z %Y')" '
        function two(x) { x = sprintf("%.2f", x); sub(/\.?0+$/, "", x); return x }
        NF { n++; mb = $2 / 1048576; size += mb; ms += $1; rate = $1 ? mb / ($1 / 1000) : 0; sum += rate; squares += rate * rate }
        END {
            mean = n ? sum / n : 0; spread = n ? squares / n - mean * mean : 0
            print "----- TestDFSIO ----- : " kind
            print "            Date & time: " date
            print "        Number of files: " n + 0
            print " Total MBytes processed: " two(size)
            print "      Throughput mb/sec: " two(ms ? size * 1000 / ms : 0)
            print "Total Throughput mb/sec: " two(size * 1000 / exec_ms)
            print " Average IO rate mb/sec: " two(mean)
            print "  IO rate std deviation: " two(sqrt(spread < 0 ? -spread : spread))
            print "     Test exec time sec: " two(exec_ms / 1000)
            print ""
        }' <<<"$tasks" | tee -a "$file" | while IFS= read -r line; do dfsio_log "$line"; done
}

dfsio_write() {
    local i
    "$quern" fs -rm -r -f -skipTrash "$base/io_data" >/dev/null
    "$quern" fs -mkdir -p "$base" || exit 1
    settings+=(-D "dfsiowrite.rows=$files" -D "mapreduce.job.maps=$files" -D "dfsio.size=$size")
    run_job dfsiowrite "$base/io_data" || exit 1
    for ((i = 0; i < files; i++)); do
        "$quern" fs -mv "$base/io_data/part-m-$(printf %05d "$i")" "$base/io_data/test_io_$i" || exit 1
    done
}

# A task reads a file.
dfsio_read() {
    local i inputs=()
    "$quern" fs -test -e "$base/io_data" || die "$base/io_data: No such file or directory (write it first: TestDFSIO -write)"
    "$quern" fs -rm -r -f -skipTrash "$base/io_read" >/dev/null
    for ((i = 0; i < files; i++)); do inputs+=("$base/io_data/test_io_$i"); done
    settings+=(-D "mapreduce.input.fileinputformat.split.minsize=$size" -D "mapreduce.input.fileinputformat.split.maxsize=$size")
    run_job dfsioread "${inputs[@]}" "$base/io_read" || exit 1
}

# Settings of its own among the generic ones.
dfsio_settings() {
    local word kept=()
    for word in ${settings[@]+"${settings[@]}"}; do
        kept+=("$word")
        [[ $word != test.* ]] || unset 'kept[-1]' 'kept[-1]'
        [[ $word != test.build.data=* ]] || base=${word#*=}
    done
    settings=(${kept[@]+"${kept[@]}"})
}

# TestDFSIO by the jobs dfsiowrite and dfsioread, over files that are called as its own.
dfsio() {
    local kind="" files=1 size=1048576 result=TestDFSIO_results.log base=/benchmarks/TestDFSIO begin field=out_bytes ms
    dfsio_log "TestDFSIO.1.8"
    [ $# -gt 0 ] || { echo "Missing arguments." >&2; dfsio_usage; }
    generic "$@"
    dfsio_settings
    set -- ${rest[@]+"${rest[@]}"}
    while [ $# -gt 0 ]; do
        case ${1,,} in
        -write | -read | -clean) kind=${1,,} kind=${kind#-} ;;
        -nrfiles) files=${2:?-nrFiles needs a number}; shift ;;
        -size | -filesize) size=$(bytes_of "${2:?$1 needs a size}") || { echo "Illegal argument: $2" >&2; dfsio_usage; }
            [[ $2 =~ ^[0-9]+$ ]] && size=$(($2 << 20)) # a number alone is megabytes
            shift ;;
        -resfile) result=${2:?-resFile needs a name}; shift ;;
        -buffersize | -skipsize) shift ;; # how much is read and written at once is the task's affair
        -append | -truncate | -random | -backward | -skip | -seq* | -compression)
            die "TestDFSIO $1: -write, -read and -clean are known here" ;;
        *) echo "Illegal argument: $1" >&2; dfsio_usage ;;
        esac
        shift
    done
    [ -n "$kind" ] || dfsio_usage
    if [ "$kind" = clean ]; then
        dfsio_log "Cleaning up test files"
        "$quern" fs -rm -r -f -skipTrash "$base" >/dev/null
        exit
    fi
    [[ $files =~ ^[1-9][0-9]*$ ]] || { echo "Illegal argument: $files" >&2; dfsio_usage; }
    dfsio_log "nrFiles = $files"
    dfsio_log "nrBytes (MB) = $(awk -v n="$size" 'BEGIN { mb = n / 1048576; print mb == int(mb) ? mb ".0" : mb }')"
    dfsio_log "baseDir = $base"
    begin=$(date +%s%N)
    "dfsio_$kind"
    ms=$((($(date +%s%N) - begin) / 1000000))
    [ "$kind" = write ] || field=in_bytes
    dfsio_result "$kind" "$(dfsio_tasks "$job_id" $field)" "$ms" "$result"
    exit 0
}

# sleep -m MAPS -r REDUCES -mt MS -rt MS
sleep_job() {
    local maps=1 ms=10000 reduce_ms=10000 out rc
    generic "$@"
    set -- ${rest[@]+"${rest[@]}"}
    while [ $# -gt 1 ]; do
        case $1 in
        -m) maps=$2 ;;
        -r) reduces=$2 ;;
        -mt) ms=$2 ;;
        -rt) reduce_ms=$2 ;;
        -recordt) ;; # of a record: each task sleeps once
        *) break ;;
        esac
        shift 2
    done
    [ $# -eq 0 ] || { echo "SleepJob [-m numMapper] [-r numReducer] [-mt mapSleepTime (msec)] [-rt reduceSleepTime (msec)] [-recordt recordSleepTime (msec)]" >&2; exit 2; }
    out=sleep-temp-$$-$RANDOM
    settings+=(-D "sleep.rows=$maps" -D "mapreduce.job.maps=$maps" -D "sleep.map.ms=$ms" -D "sleep.reduce.ms=$reduce_ms")
    run_job sleep "$out"
    rc=$?
    "$quern" fs -rm -r -f -skipTrash "$out" >/dev/null
    exit $rc
}

tests_jar() {
    local name=${2:-}
    shift $(($# < 2 ? $# : 2))
    case $name in
    TestDFSIO) dfsio "$@" ;;
    sleep) sleep_job "$@" ;;
    mrbench | largesorter | loadgen | threadedmapbench | MRReliabilityTest | gsleep | fail | minicluster)
        die "$name: not here; \`quern bench\` runs the standard jobs, many small ones first" ;;
    nnbench | nnbenchWithoutMR | NNdataGenerator | NNloadGenerator | NNstructureGenerator | dfsthroughput | filebench | DFSCIOTest | DistributedFSCheck)
        die "$name: not here; TestDFSIO is, and \`quern bench -only dfsio\`" ;;
    test*) die "$name: a test of Java's own classes" ;;
    *)
        [ -n "$name" ] && echo "Unknown program '$name' chosen." || echo "An example program must be given as the first argument."
        printf 'Valid program names are:\n  TestDFSIO: Distributed i/o benchmark.\n  sleep: A job that sleeps at each map task.\n'
        exit 255 ;;
    esac
}

jar() {
    is_help "${1:-}" && { echo "RunJar jarFile [mainClass] args..."; programs 0; }
    [ $# -ge 1 ] || { echo "RunJar jarFile [mainClass] args..." >&2; exit 255; }
    local jar=$1 name
    shift
    case $jar in
    *.so) generic "$@"; run_job "$jar" "${rest[@]}"; exit ;;
    *examples*.jar) ;;
    *streaming*.jar) streaming "$@" ;;
    *jobclient*tests.jar | *hadoop-test*.jar | *hadoop-*-test.jar) tests_jar "$jar" "$@" ;;
    *) [ -f "$jar" ] || { echo "JAR does not exist or is not a normal file: $(realpath -m -- "$jar")" >&2; exit 255; }
        die "$jar is Java: here a job is a plugin in C (docs/first-job.md), run as: hadoop jar ./job.so IN OUT" ;;
    esac
    [ $# -ge 1 ] || { echo "An example program must be given as the first argument."; programs; }
    name=$1
    generic "${@:2}"
    case $name in
    grep) example_grep ;;
    pi) example_pi ;;
    wordmean | wordmedian | wordstandarddeviation) example_lengths ;;
    randomtextwriter) example_random 530 ;;
    randomwriter) example_random 10513 ;;
    aggregatewordcount | aggregatewordhist) example_aggregate ;;
    secondarysort) example_secondarysort ;;
    multifilewc)
        [ ${#rest[@]} -ge 2 ] || { echo "Usage: multifilewc [generic options] <input> <output>"; exit 2; }
        run_job wordcount ${rest[@]+"${rest[@]}"} ;;
    sort) example_sort ;;
    join) example_join ;;
    wordcount | terasort | teravalidate)
        [ ${#rest[@]} -ge 2 ] || { echo "Usage: $name <in> <out>" >&2; exit 2; }
        run_job "$name" ${rest[@]+"${rest[@]}"} ;;
    teragen)
        [ ${#rest[@]} -eq 2 ] || { echo "teragen <num rows> <output dir>" >&2; exit 2; }
        settings+=(-D "teragen.rows=${rest[0]}")
        run_job teragen "${rest[1]}" ;;
    *) no_example "$name" "$jar" ;;
    esac
}

