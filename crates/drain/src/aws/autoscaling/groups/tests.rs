use super::*;

const PAGE: &str = r#"<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
  <DescribeAutoScalingGroupsResult>
    <AutoScalingGroups>
      <member>
        <HealthCheckType>EC2</HealthCheckType>
        <LoadBalancerNames/>
        <Instances>
          <member>
            <LaunchTemplate>
              <LaunchTemplateId>lt-0b73e8bd38b4e8e73</LaunchTemplateId>
              <Version>1</Version>
              <LaunchTemplateName>nomad-clients</LaunchTemplateName>
            </LaunchTemplate>
            <InstanceId>i-05b4f7d5be44822a6</InstanceId>
            <InstanceType>m5.large</InstanceType>
            <HealthStatus>Healthy</HealthStatus>
            <ProtectedFromScaleIn>false</ProtectedFromScaleIn>
            <AvailabilityZone>us-west-2c</AvailabilityZone>
            <LifecycleState>InService</LifecycleState>
          </member>
          <member>
            <InstanceId>i-0c20ac468fa3049e8</InstanceId>
            <HealthStatus>Unhealthy</HealthStatus>
            <LifecycleState>Terminating:Wait</LifecycleState>
          </member>
          <member>
            <InstanceId>i-0787762faf1c28619</InstanceId>
            <LifecycleState>Terminating:Proceed</LifecycleState>
          </member>
          <member>
            <InstanceId>not-an-instance</InstanceId>
            <LifecycleState>Terminating:Wait</LifecycleState>
          </member>
          <member>
            <InstanceId>i-0f280a4c58d319a8a</InstanceId>
            <LifecycleState>Pending:Wait</LifecycleState>
          </member>
        </Instances>
        <TerminationPolicies><member>Default</member></TerminationPolicies>
        <DefaultCooldown>300</DefaultCooldown>
        <AutoScalingGroupARN>arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:12345678-1234-1234-1234-123456789012:autoScalingGroupName/nomad-clients</AutoScalingGroupARN>
        <EnabledMetrics/>
        <AvailabilityZones><member>us-west-2a</member><member>us-west-2c</member></AvailabilityZones>
        <AutoScalingGroupName>nomad-clients</AutoScalingGroupName>
        <DesiredCapacity>2</DesiredCapacity>
        <Tags>
          <member>
            <ResourceType>auto-scaling-group</ResourceType>
            <ResourceId>nomad-clients</ResourceId>
            <PropagateAtLaunch>true</PropagateAtLaunch>
            <Value/>
            <Key>nomad-drain</Key>
          </member>
          <member>
            <Key>team</Key>
            <Value>R&amp;D &lt;core&gt;</Value>
            <PropagateAtLaunch>false</PropagateAtLaunch>
          </member>
        </Tags>
        <FieldOfTheFuture><member><Deep>1</Deep></member></FieldOfTheFuture>
        <MinSize>1</MinSize>
        <MaxSize>5</MaxSize>
        <CreatedTime>2023-03-09T22:15:11.611Z</CreatedTime>
      </member>
      <member>
        <AutoScalingGroupName>empty</AutoScalingGroupName>
        <Instances/>
        <Tags/>
      </member>
    </AutoScalingGroups>
    <NextToken>e9f8a7==</NextToken>
  </DescribeAutoScalingGroupsResult>
  <ResponseMetadata>
    <RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId>
  </ResponseMetadata>
</DescribeAutoScalingGroupsResponse>"#;

fn page(groups: &str) -> Page<Group> {
    let xml = format!(
        "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups>{groups}\
         </AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"
    );
    parse("operation", &xml).unwrap()
}

#[test]
fn of_a_groups_members_those_that_wait_or_serve_are_kept() {
    let groups = parse("operation", PAGE).unwrap();
    assert_eq!(groups.next.as_deref(), Some("e9f8a7=="));
    insta::assert_debug_snapshot!(groups.items, @r#"
    [
        Group {
            name: GroupName(
                "nomad-clients",
            ),
            arn: "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:12345678-1234-1234-1234-123456789012:autoScalingGroupName/nomad-clients",
            tags: {
                "nomad-drain": "",
                "team": "R&D <core>",
            },
            has_warm_pool: false,
            waiting: [
                Waiting {
                    instance: InstanceId(
                        "i-0c20ac468fa3049e8",
                    ),
                    state: "Terminating:Wait",
                },
                Waiting {
                    instance: InstanceId(
                        "i-0f280a4c58d319a8a",
                    ),
                    state: "Pending:Wait",
                },
            ],
            in_service: [
                InstanceId(
                    "i-05b4f7d5be44822a6",
                ),
            ],
            retains_abandoned: false,
            service_linked_role: None,
        },
        Group {
            name: GroupName(
                "empty",
            ),
            arn: "",
            tags: {},
            has_warm_pool: false,
            waiting: [],
            in_service: [],
            retains_abandoned: false,
            service_linked_role: None,
        },
    ]
    "#);
}

#[test]
fn the_last_page_has_no_token_and_may_have_no_groups() {
    assert_eq!(page(""), Page { items: Vec::new(), next: None });
    let self_closed = "<R><DescribeAutoScalingGroupsResult><AutoScalingGroups/><NextToken/>\
                       </DescribeAutoScalingGroupsResult></R>";
    assert_eq!(parse("operation", self_closed).unwrap(), Page { items: Vec::new(), next: None });
}

#[test]
fn a_warm_pool_shows_by_its_configuration_or_by_its_size() {
    let has = |field: &str| {
        page(&format!("<member><AutoScalingGroupName>g</AutoScalingGroupName>{field}</member>")).items[0]
            .has_warm_pool
    };
    assert!(has(
        "<WarmPoolConfiguration><MinSize>0</MinSize><PoolState>Stopped</PoolState></WarmPoolConfiguration>"
    ));
    assert!(has("<WarmPoolSize>3</WarmPoolSize>"));
    assert!(!has("<WarmPoolSize>0</WarmPoolSize>"));
    assert!(!has(""));
}

#[test]
fn a_group_may_retain_what_is_abandoned() {
    let retains = |policy: &str| {
        page(&format!("<member><AutoScalingGroupName>g</AutoScalingGroupName>{policy}</member>")).items[0]
            .retains_abandoned
    };
    let policy = |word: &str| {
        format!(
            "<InstanceLifecyclePolicy><RetentionTriggers><TerminateHookAbandon>{word}</TerminateHookAbandon>\
             </RetentionTriggers></InstanceLifecyclePolicy>"
        )
    };
    assert!(retains(&policy("retain")));
    assert!(!retains(&policy("terminate")));
    assert!(!retains(""));
}

#[test]
fn a_group_with_an_impossible_name_does_not_hide_the_others() {
    let groups = page(
        "<member><AutoScalingGroupName>a:b</AutoScalingGroupName></member><member><Instances/></member>\
         <member><AutoScalingGroupName>good</AutoScalingGroupName></member>",
    );
    assert_eq!(groups.items.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[test]
fn a_large_group_leaves_only_what_waits() {
    let member = |number: u32| {
        let state = if number == 12_345 { "Terminating:Wait" } else { "InService" };
        format!(
            "<member><InstanceId>i-{number:08x}</InstanceId><LifecycleState>{state}</LifecycleState></member>"
        )
    };
    let members = (0..20_000).map(member).collect::<Vec<_>>().concat();
    let group = &page(&format!(
        "<member><AutoScalingGroupName>large</AutoScalingGroupName><Instances>{members}</Instances></member>"
    ))
    .items[0];
    assert_eq!(group.waiting.len(), 1);
    assert_eq!(group.waiting[0].instance.as_str(), "i-00003039");
}

#[test]
fn half_a_document_is_not_a_shorter_list() {
    let cut = &PAGE[..PAGE.find("<FieldOfTheFuture>").unwrap()];
    for text in [cut, "<html>Welcome</html>", "<DescribeAutoScalingGroupsResponse/>", ""] {
        assert!(matches!(parse("operation", text), Err(AwsError::Unreadable { .. })), "{text}");
    }
    let without_list = "<R><DescribeAutoScalingGroupsResult/></R>";
    assert!(parse("operation", without_list).is_err());
}

#[test]
fn a_query_says_what_it_wants_and_where_it_goes_on() {
    let sent = |query: &GroupQuery, next| request(query, next).into_body();
    let start = "Action=DescribeAutoScalingGroups&Version=2011-01-01&MaxRecords=100";
    let names = ["clients", "R&D + é/*"].map(|name| GroupName::parse(name).unwrap()).to_vec();
    assert_eq!(
        sent(&GroupQuery::Named(names), None),
        format!(
            "{start}&AutoScalingGroupNames.member.1=clients\
             &AutoScalingGroupNames.member.2=R%26D%20%2B%20%C3%A9%2F%2A"
        )
    );
    assert_eq!(
        sent(&GroupQuery::Tagged("nomad-drain".to_owned()), Some("a+b/c==")),
        format!(
            "{start}&NextToken=a%2Bb%2Fc%3D%3D&Filters.member.1.Name=tag-key\
             &Filters.member.1.Values.member.1=nomad-drain"
        )
    );
    assert_eq!(sent(&GroupQuery::All, None), start);
}
